"""What was reported with one call of a tracker's `log`, as a record; for trackers that count their calls as steps."""

import math
from collections.abc import Mapping

from exporter.progress.names import without_evaluation
from exporter.progress.record import Record

# A tracker counts calls of `log`: an evaluation between two steps counts too. The trainer's own count goes before.
STEP_NAMES = ("train/global_step", "training/global_step", "trainer/global_step", "global_step")

MAX_VALUES = 1000
MAX_NAME = 200
# TRL reports how long each part of a step took, each in a call of its own.
_IGNORED = ("_", "profiling/")
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Calls:
    """Turns the calls of one run into records, and knows whether the run names its own step.

    A run that does, counts its own steps only: a tracker counts what was logged besides too.
    """

    def __init__(self) -> None:
        self._names_step = False

    def to_record(self, reported: Mapping[str, object], *, counted: int | None, at: float | None) -> Record | None:
        """The record of a call; None if it reported no number, such as a table or the times that parts of a step took.

        `counted` is the tracker's own count of its calls, `at` the Unix time of the call. Names that begin with `_` are
        the tracker's own.
        """
        values: dict[str, float] = {}
        for name, value in reported.items():
            number = to_number(value)
            if number is None or name.startswith(_IGNORED) or len(name) > MAX_NAME:
                continue
            if len(values) < MAX_VALUES:
                values[name] = number
        named = next((values[name] for name in STEP_NAMES if name in values), None)
        for name in STEP_NAMES:
            values.pop(name, None)
        values = without_evaluation(values)
        if not values:
            return None
        self._names_step = self._names_step or named is not None
        step = to_step(named) if self._names_step else counted
        return Record(values, step=step, at=to_time(at))


def to_number(value: object) -> float | None:
    """A number as JSON has it, with the words that trackers write for what is not finite; None for anything else."""
    if isinstance(value, str):
        return _NOT_FINITE.get(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def to_step(value: float | None) -> int | None:
    """A count of steps; None for what cannot be one."""
    return int(value) if value is not None and 0 <= value < 2**63 else None


def to_time(value: float | None) -> float | None:
    """A Unix time in seconds; None for what cannot be one."""
    return value if value is not None and 0 < value < 1e11 else None
