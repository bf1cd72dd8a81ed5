"""The trainer restarts again and again.

Each new start time of its process is a restart, whatever ended the one before: trainers that catch an error and exit
cleanly crash all the same. Each restart loses reward that was not submitted yet.

What to do: read the trainer's log before the last start for the first error, not the last one; check for the OOM
killer; then stop the peer until the cause is fixed.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Verdict, View, active, inactive

# Two measurements of one start may differ by this much.
SAME_START_SECONDS = 2.5
# A start that is seen later than this happened while the loop was not running: one of many, or a single one.
FRESH_SECONDS = 300.0
MAX_RESTARTS = 50


class Settings(RuleSettings):
    """Thresholds of CrashLoop: more than a person restarts a peer while trying out settings."""

    restarts: int = Field(default=4, ge=1, le=MAX_RESTARTS, description="restarts within the window that are a loop")
    window: Duration = Field(default=2 * 3600.0, description="time over which restarts are counted")
    stable_after: Duration = Field(default=1800.0, description="time without a restart that ends the loop")


def remember(view: View, settings: Settings) -> Memory:
    """The present process's start, and the restarts that were seen within the window."""
    started = view.page.value("trainer_start_timestamp_seconds") if view.page else None
    before: float | None = view.memory.get("started")
    restarts: list[float] = [one for one in view.memory.get("restarts", []) if one > view.now - settings.window]
    if started is not None and before is not None and abs(started - before) > SAME_START_SECONDS:
        is_fresh = view.now - started < FRESH_SECONDS
        restarts = [*restarts, started][-MAX_RESTARTS:] if is_fresh else restarts
    started = before if started is None else started
    return {} if started is None else {"started": started, "restarts": restarts}


def judge(view: View, settings: Settings) -> Verdict:
    if view.page is None or "started" not in view.memory:
        return UNKNOWN
    restarts = view.memory["restarts"]
    # Time in which the machine slept does not count.
    stable = view.now - max(view.memory["started"], view.clock_stepped_at)
    if len(restarts) >= settings.restarts and stable < settings.stable_after:
        return active(
            say(
                "{count} restarts in {time}; limit {limit} in {window}.",
                count=len(restarts),
                time=Seconds(view.now - restarts[0]),
                limit=settings.restarts,
                window=Seconds(settings.window),
            )
        )
    if len(restarts) < settings.restarts or view.page.is_up():
        return inactive(say("No restart for {time}.", time=Seconds(stable)))
    return UNKNOWN


RULE = Rule(
    settings=Settings,
    chart="step rate",
    judge=judge,
    remember=remember,
    doc=__doc__ or "",
    promql="""
changes(trainer_start_timestamp_seconds[%(window)s]) >= %(restarts)d
and on (instance) time() - last_over_time(trainer_start_timestamp_seconds[%(window)s]) < %(stable_after_seconds)d
""",
    keeps="""
changes(trainer_start_timestamp_seconds[%(window)s]) >= %(restarts)d
unless on (instance) trainer_up == 1
""",
)
