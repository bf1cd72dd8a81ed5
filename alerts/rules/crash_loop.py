"""The trainer keeps being started again.

Each new start time of its process is a restart, whatever ended the one before: trainers that catch an error and end
in good order crash all the same. Each restart throws away reward that was not submitted yet.

What to do: read trainer.log from before the last start, and look for the first error, not for the last one; look for
the system's memory killer; then stop the peer until the cause is gone.
"""

from pydantic import Field

from alerts.durations import Duration, describe_duration
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Verdict, View, active, inactive

# Two measurements of one start may differ by this much.
SAME_START_SECONDS = 2.5
MAX_STARTS = 50


class Settings(RuleSettings):
    """Thresholds of CrashLoop: more than a person restarts a peer while trying out settings."""

    restarts: int = Field(default=4, ge=1, le=MAX_STARTS - 1, description="restarts within the window that are a loop")
    window: Duration = Field(default=2 * 3600.0)
    stable_after: Duration = Field(default=1800.0, description="time without a restart that ends the loop")


def remember(view: View, settings: Settings) -> Memory:
    """The starts within the window and the one before them, each once."""
    starts: list[float] = view.memory.get("starts", [])
    started = view.reading.value("trainer_start_timestamp_seconds") if view.reading else None
    if started is not None and (not starts or abs(started - starts[-1]) > SAME_START_SECONDS):
        starts = [*starts, started]
    begin = view.now - settings.window
    kept = [*[one for one in starts if one <= begin][-1:], *(one for one in starts if one > begin)]
    return {"starts": kept[-MAX_STARTS:]} if kept else {}


def judge(view: View, settings: Settings) -> Verdict:
    starts: list[float] = view.memory.get("starts", [])
    if view.reading is None or not starts:
        return UNKNOWN
    restarts = len(starts) - 1
    # A machine that slept adds no time in which the trainer held.
    stable = view.now - max(starts[-1], view.clock_stepped_at)
    if restarts >= settings.restarts and stable < settings.stable_after:
        return active(f"{restarts} restarts in the last {describe_duration(view.now - starts[1])}.")
    if restarts < settings.restarts or view.reading.is_up():
        return inactive(f"The trainer has held since its last start, {describe_duration(stable)} ago.")
    return UNKNOWN


RULE = Rule(
    settings=Settings,
    judge=judge,
    remember=remember,
    doc=__doc__ or "",
    promql="""
changes(trainer_start_timestamp_seconds[%(window)s]) >= %(restarts)d
and on (instance) time() - last_over_time(trainer_start_timestamp_seconds[%(window)s]) < %(stable_after_seconds)d
""",
)
