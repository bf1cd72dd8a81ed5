"""Whether two trainers write into one file: their step numbers then go to and fro.

One trainer's number goes back when it starts again, and grows from there; that of two goes back to where each of them
was, again and again. Two that report the same steps in turn cannot be told from one that reports each step twice.
"""

from collections import deque
from collections.abc import Mapping
from pathlib import Path

from exporter.progress.names import NAMES, find_first
from exporter.progress.record import ReadError

# Of so many reports, so many must come from the other trainer than the one before.
REPORTS = 12
ALTERNATIONS = 4


class Interleaving:
    """Follows one number that grows with training, such as the step of each record that tells a loss."""

    def __init__(self) -> None:
        # The last number of up to two trainers, that of the report before at the end.
        self._tracks: list[float] = []
        self._alternated: deque[bool] = deque(maxlen=REPORTS)

    def add(self, number: float) -> None:
        """Notes the number of a report."""
        self._alternated.append(self._move(number))

    def is_seen(self) -> bool:
        """Whether the last reports came from two trainers in turn."""
        return sum(self._alternated) >= ALTERNATIONS

    def _move(self, number: float) -> bool:
        """Whether the number goes on where the trainer of an earlier report was."""
        reached = [track for track in self._tracks if track <= number]
        if not reached:
            self._tracks = [*self._tracks[-1:], number]
            return False
        nearest = max(reached)
        is_other = nearest != self._tracks[-1] and nearest < number
        self._tracks.remove(nearest)
        self._tracks.append(number)
        return is_other


class Writers:
    """Whether the records of a file, and the progress bars in it, are those of one trainer."""

    def __init__(self) -> None:
        self._numbers: dict[str, Interleaving] = {}

    def note(self, values: Mapping[str, float], step: int | None) -> None:
        """Notes a record of training."""
        for name in ("loss", "reward"):
            if find_first(values, NAMES[name]) is None:
                continue
            if step is not None:
                self._of(f"{name} by step").add(step)
            if "epoch" in values:
                self._of(f"{name} by epoch").add(values["epoch"])

    def note_bar(self, step: int) -> None:
        """Notes the step that a progress bar shows."""
        self._of("bar").add(step)

    def check(self, path: Path) -> None:
        """Raises ReadError while two trainers write in turn."""
        if any(numbers.is_seen() for numbers in self._numbers.values()):
            raise ReadError(f"{path}: two trainers write into this file, their steps alternate; give each its own")

    def _of(self, kind: str) -> Interleaving:
        return self._numbers.setdefault(kind, Interleaving())
