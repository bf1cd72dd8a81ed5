"""The peer's memory grows steadily and reaches its limit within hours.

The growth is a robust slope over the last hours, counted only once the process has settled after its start. It has to
hold over the whole window and over its recent half, so that neither a checkpoint nor a growth that has ended counts.

What to do: restart the peer at a moment of your choice, after a checkpoint if it writes any, before the system kills it
at one of its own; then look for what grows: longer sequences, a growing cache, a leak in code of yours such as a reward
function.
"""

from typing import Any

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.rules._window import Sample, find_trend, keep, recall, since

GIB = 2**30
SAMPLES = 48
# Between the threshold and this multiple of it the rule keeps its last verdict.
HYSTERESIS = 1.5
# The least growth over the samples that counts, as a fraction of the limit.
LEAST_GROWTH = 0.02


class Settings(RuleSettings):
    """Thresholds of MemoryForecast."""

    severity: Severity = "warning"
    for_: Duration = Field(default=900.0, alias="for")
    recover_after: Duration = 900.0
    within: Duration = Field(default=4 * 3600.0, description="time until the limit at which it fires")
    window: Duration = Field(default=6 * 3600.0, description="how far back the growth is measured")
    least_span: Duration = Field(default=2 * 3600.0, description="least time over which it is measured")
    settle: Duration = Field(default=1800.0, description="time after a start that is left out")


def remember(view: View, settings: Settings) -> Memory:
    """Samples of the footprint; the trend is worked out once for each."""
    page = view.page
    footprint = page.value("trainer_memory_bytes", kind="footprint") if page and page.is_up() else None
    if footprint is None:
        return view.memory
    memory = recall(view)
    settled_at = (memory["started"] or 0.0) + settings.settle
    if view.now < settled_at:
        return memory
    before: list[Sample] = memory.get("samples", [])
    every = settings.window / SAMPLES
    samples = keep(before, [view.now, footprint], every_seconds=every, window_seconds=settings.window)
    if samples is before:
        return memory
    samples = since(samples, view.clock_stepped_at)
    return {**memory, "samples": samples, "trend": _find_growth(samples)}


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    limit = page.value("trainer_memory_limit_bytes")
    started = page.value("trainer_start_timestamp_seconds") or 0.0
    if view.now - started < settings.settle + settings.least_span:
        return inactive(say("Trainer was restarted."))
    samples: list[Sample] = view.memory.get("samples", [])
    if limit is None or limit <= 0 or not samples or samples[-1][0] - samples[0][0] < settings.least_span:
        return UNKNOWN
    growth: dict[str, Any] | None = view.memory.get("trend")
    if growth is None or growth["slope"] <= 0 or _span(samples) * growth["slope"] < LEAST_GROWTH * limit:
        return inactive(say("Memory no longer grows."))
    left = max(0.0, (limit - growth["level"]) / growth["slope"] - (view.now - samples[-1][0]))
    measured = say(
        "Memory grows {hourly:.2f} GiB/h from {level:.2f} GiB; limit {limit:.2f} GiB in about {time}.",
        hourly=growth["slope"] * 3600 / GIB,
        level=growth["level"] / GIB,
        limit=limit / GIB,
        time=Seconds(left),
    )
    if left <= settings.within:
        return active(measured)
    return inactive(measured) if left > HYSTERESIS * settings.within else UNKNOWN


def _find_growth(samples: list[Sample]) -> dict[str, float] | None:
    """The slower of the whole window's growth and its recent half's; None where it does not grow steadily."""
    whole, recent = find_trend(samples), find_trend(samples[len(samples) // 2 :])
    if whole is None or recent is None or min(whole.lower_slope, recent.lower_slope) <= 0:
        return None
    return {"slope": min(whole.slope, recent.slope), "level": recent.level}


def _span(samples: list[Sample]) -> float:
    return samples[-1][0] - samples[0][0]


RULE = Rule(
    settings=Settings,
    chart="memory",
    judge=judge,
    remember=remember,
    restart="after a checkpoint",
    doc=__doc__ or "",
)
