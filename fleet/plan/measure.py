"""Measures, by running peers, how much one needs and how many make more steps than fewer."""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from alerts.sizes import show_size
from fleet.plan.answer import Case, available_bytes
from fleet.plan.pace import is_worth
from fleet.plan.trial import Span, Trial, steps_per_second
from trainer.config import TrainerConfig

# Often enough to meet the peak of a step; with several peers only the pace counts, which sampling would disturb.
_PEAK_SAMPLE_SECONDS = 0.05
_PACE_SAMPLE_SECONDS = 2.0
_OTHERS_SHARE = 0.15


class Progress(Protocol):
    """Shows each trial: a context that yields a callback for the part done, and a line for each result."""

    def trial(self, title: str) -> AbstractContextManager[Callable[[float], None]]: ...
    def say(self, line: str) -> None: ...


@dataclass
class Measurement:
    """Peak bytes of one peer alone, of which the accelerator held some; steps per second by number of peers.

    `own_cores` is how many cores the peers kept busy, by their number; `others_cores` how many other programs did
    meanwhile, at the worst.
    """

    peak_bytes: float = 0.0
    accelerator_bytes: float = 0.0
    pace: dict[int, float] = field(default_factory=dict)
    own_cores: dict[int, float] = field(default_factory=dict)
    others_cores: float = 0.0
    ended_by: str = ""


def measure(
    config: TrainerConfig, planned: Case, span: Span, progress: Progress, *, most: int | None = None
) -> Measurement:
    """Runs 1, 2, 3, … peers until another one adds too little or does not fit. Raises TrialError, OSError.

    With `most`, runs up to so many, whether they add anything or not, as long as they fit into the memory.
    """
    settings = config.model_dump(mode="json", exclude={"name", "run_dir", "swarm"})
    found = Measurement()
    count = 1
    while not found.ended_by:
        threads = max(1, planned.host.cores // count)
        title = f"{_peers(count)}, {threads} {'thread' if threads == 1 else 'threads'} each"
        _run(settings, count, threads, title, found, span, progress)
        progress.say(f"{title}: {found.pace[count]:.3g} steps/s, {show_size(found.peak_bytes)} at the peak of one")
        count += 1
        found.ended_by = reason_to_end(found, planned, count, most)
    progress.say(found.ended_by)
    if is_disturbed(found, planned.host.cores):
        progress.say(
            f"warning: other programs kept up to {found.others_cores:.1f} of {planned.host.cores} cores busy, so the "
            "pace does not count; measure again when they are idle"
        )
    return found


def is_disturbed(found: Measurement, cores: int) -> bool:
    """Whether the pace says more about other programs than about the peers."""
    return found.others_cores > _OTHERS_SHARE * cores


def _run(
    settings: Mapping[str, Any],
    count: int,
    threads: int,
    title: str,
    found: Measurement,
    span: Span,
    progress: Progress,
) -> None:
    sample_seconds = _PEAK_SAMPLE_SECONDS if count == 1 else _PACE_SAMPLE_SECONDS
    with (
        tempfile.TemporaryDirectory(prefix="peerwatch-plan-") as folder,
        progress.trial(title) as on_progress,
        Trial(settings, Path(folder), peers=count, threads=threads) as trial,
    ):
        seen = trial.run(span, on_progress, sample_seconds=sample_seconds)
    found.others_cores = max(found.others_cores, trial.others_cores)
    found.pace[count], found.own_cores[count] = steps_per_second(seen), trial.own_cores
    if count == 1:
        found.peak_bytes, found.accelerator_bytes = seen[0].peak_bytes, seen[0].accelerator_bytes


def reason_to_end(found: Measurement, planned: Case, following: int, most: int | None) -> str:
    """Why `following` peers are not tried; empty where they are."""
    if most is not None:
        return (
            f"ended: {_peers(most)} were asked for"
            if following > most
            else _reason_of_memory(found, planned, following)
        )
    last = following - 1
    if last > 1 and not is_worth(found.pace[last - 1], found.pace[last]):
        gain = found.pace[last] / found.pace[last - 1] - 1
        return f"ended: {_peers(last)} change the pace by {gain:+.0%}; {_peers(last - 1)} suffice"
    if following > planned.host.cores:
        return f"ended: {_peers(following)} would share {planned.host.cores} cores"
    return _reason_of_memory(found, planned, following)


def _reason_of_memory(found: Measurement, planned: Case, following: int) -> str:
    shared = planned.footprint.shared_bytes
    needed = shared + following * (found.peak_bytes - shared)
    if needed > available_bytes(planned.host):
        left = show_size(available_bytes(planned.host))
        return f"ended: {_peers(following)} need {show_size(needed)}, and {left} is left"
    card = planned.host.accelerator_bytes
    if card is not None and following * found.accelerator_bytes > card:
        needed = following * found.accelerator_bytes
        return f"ended: the tensors of {_peers(following)} need {show_size(needed)} of {show_size(card)}"
    return ""


def _peers(count: int) -> str:
    return "1 peer" if count == 1 else f"{count} peers"
