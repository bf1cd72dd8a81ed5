"""Runs that trackers keep: which of several is followed, and what one call of a tracker's `log` reported."""

import math
from collections.abc import Mapping

from exporter.progress.names import unscored, without_evaluation
from exporter.progress.record import ReadError, Record

# A run that is silent for as long has ended, and an earlier one may be resumed.
QUIET_SECONDS = 600.0
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
        values = without_evaluation(values | unscored(reported))
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


class NewestRun:
    """Keeps to one run, until a later one begins. An earlier run that goes on beside it is another trainer's."""

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy
        self._current: str | None = None
        self._heard_at = 0.0
        self._written: Mapping[str, float] = {}

    def choose(self, written: Mapping[str, float], now: float) -> str | None:
        """The run to follow; None where there is none.

        `written` says for each run how far it was written, by a number that grows. Raises ReadError while two are
        written at once, once both are known.
        """
        before, self._written = self._written, dict(written)
        if not written:
            return None
        current = self._current
        if current is None or current not in written:
            self._current, self._heard_at = max(written, key=lambda run: written[run]), now
            return self._current
        if written[current] != before.get(current):
            self._heard_at = now
        begun = [run for run in written if run not in before]
        gone_on = [run for run in written if run != current and run in before and written[run] > before[run]]
        if gone_on and not begun and now - self._heard_at < QUIET_SECONDS:
            names = " and ".join(repr(run[-60:]) for run in sorted((gone_on[0], current)))
            raise ReadError(f"two runs are written at once, {names}; {self._remedy}")
        if begun or gone_on:
            self._current, self._heard_at = max(begun or gone_on, key=lambda run: written[run]), now
        return self._current
