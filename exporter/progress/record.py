"""What every reader gives: records in the writer's own words, in the order in which they were written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self


class ReadError(Exception):
    """The source cannot be read; the text names it and says why."""


class Record(NamedTuple):
    """One report of progress.

    `step` is the number of optimizer steps (or rounds, where `unit` says so) that had ended, as the writer counts
    them: prime-rl begins at 0, the others at 1. It is None where the format does not say; two records may carry the
    same step. `at` is the Unix time at which the trainer wrote it: by the writer's clock, else for the last record of a
    read the time at which the file was changed; None where neither is known. `values` are numbers by the writer's own
    names, not finite ones included, those of an evaluation left out; `exporter.progress.names` translates them.

    `phase` is what the trainer says that it does from now on, one of `metrics.STATES`; `round` and `stage` are where in
    a swarm it is. A record may tell these alone: then it is a notice, and no report of progress.
    """

    values: Mapping[str, float]
    step: int | None = None
    at: float | None = None
    total_steps: int | None = None
    unit: str = "step"
    phase: str | None = None
    round: int | None = None
    stage: int | None = None

    @property
    def is_notice(self) -> bool:
        """Whether it tells a phase or a place in a swarm, and no step."""
        return self.step is None and not self.values and (self.phase is not None or self.round is not None)


class Reader(Protocol):
    """Follows one source. It is used by one thread, and keeps what it needs to go on where it stopped.

    Each reader is `class Reader` in a file of its name. `is_live` is False where records come too seldom to judge a
    silence by them.
    """

    is_live: ClassVar[bool]

    @classmethod
    def configured(cls, options: Mapping[str, Any], folder: Path) -> Self:
        """The reader for the options of `progress:`; relative paths start at `folder`.

        Raises ValueError with one line that names the option, its value and the remedy. Opens nothing.
        """

    def read(self, now: float) -> Sequence[Record]:
        """The records written since the last call, in bounded time and memory; empty where there are none.

        Raises ReadError while the source cannot be read, and goes on by itself once it can be again.
        """
