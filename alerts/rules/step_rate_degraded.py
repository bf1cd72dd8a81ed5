"""The peer's steps take much longer than before.

Step times leave out waiting and saving. The median of the last half hour or so is compared with the median of the
peer's own time before that, within `window` and since its start; what lasts becomes the new normal after half a window.
A peer that has stopped altogether is PeerStalled's.

What to do: check for another program that uses the CPU or the accelerator, for heat (a laptop that throttles), for
swapping, and whether sequences or completions have grown longer.
"""

from statistics import median

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Text, say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.rules._window import Sample, recall

# A slot is a mean over at least so many steps.
SLOT_STEPS = 5
MAX_SLOTS = 288
# Below this share of the threshold the alert ends.
HYSTERESIS = 0.75


class Settings(RuleSettings):
    """Thresholds of StepRateDegraded."""

    severity: Severity = "warning"
    for_: Duration = Field(default=1800.0, alias="for")
    recover_after: Duration = 600.0
    factor: float = Field(default=2.0, gt=1, description="how many times as long a step must take")
    slot: Duration = Field(default=300.0, description="time over which steps are averaged")
    recent: int = Field(default=6, ge=1, le=100, description="slots that make up the recent step time")
    baseline: int = Field(default=24, ge=2, le=200, description="least slots before them to compare with")
    window: Duration = Field(default=86400.0, description="how far back these may lie")


def remember(view: View, settings: Settings) -> Memory:
    """Mean step times [time, seconds], a slot each, and where the current slot began."""
    page = view.page
    seconds = page.value("trainer_step_duration_seconds_sum") if page and page.is_current() else None
    steps = page.value("trainer_step_duration_seconds_count") if page else None
    if seconds is None or steps is None:
        return view.memory
    memory = recall(view)
    begin: list[float] | None = memory.get("begin")
    if begin is None or steps < begin[2] or view.now < begin[0]:
        return {**memory, "begin": [view.now, seconds, steps]}
    if view.now - begin[0] < settings.slot or steps - begin[2] < SLOT_STEPS:
        return memory
    slots: list[Sample] = [slot for slot in memory.get("slots", []) if view.now - settings.window <= slot[0] < view.now]
    mean = (seconds - begin[1]) / (steps - begin[2])
    return {**memory, "begin": [view.now, seconds, steps], "slots": [*slots, [view.now, mean]][-MAX_SLOTS:]}


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    slots = [slot[1] for slot in view.memory.get("slots", [])]
    if len(slots) < settings.recent + settings.baseline:
        # Without a past there is no alert; one that fires was raised by the process before this one.
        return inactive(say("Trainer was restarted."))
    now, usual = median(slots[-settings.recent :]), median(slots[: -settings.recent])
    limit = settings.factor * usual
    times = {"now": _seconds(now), "usual": _seconds(usual), "limit": _seconds(limit)}
    measured = say("Step time {now}, usually {usual}; limit {limit}.", **times)
    if usual > 0 and now >= limit:
        return active(measured)
    return UNKNOWN if now > HYSTERESIS * limit else inactive(measured)


def _seconds(seconds: float) -> Text:
    return say("{seconds:.1f} s", seconds=seconds) if seconds >= 10 else say("{seconds:.2f} s", seconds=seconds)


RULE = Rule(
    settings=Settings,
    chart="step rate",
    judge=judge,
    remember=remember,
    restart="after a checkpoint",
    doc=__doc__ or "",
)
