"""What the trainer learns from is less and less what its inference engine sampled.

Trainer and inference engine compute the probabilities of the same tokens, and differ a little by their precision. How
much is usual is the peer's own: the median of the last hours. A difference of ten times that which still grows means
that the engine works with other weights, or that the policy is about to collapse. A difference that stays where it is
becomes the new usual.

What to do: check that the weights are sent to the inference engine after each step, in the same precision; compare the
engine's sampling settings (temperature, top-p) with the trainer's; go back to a checkpoint before the growth began.
"""

from statistics import median, median_low

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.rules._window import Sample, find_trend, keep, recall, since

SAMPLES = 48
# The last samples are the present: most of them must show it, so that no spike does.
RECENT = 4
# Below this share of the threshold the alert ends.
HYSTERESIS = 0.5


class Settings(RuleSettings):
    """Thresholds of PolicyMismatch."""

    severity: Severity = "warning"
    recover_after: Duration = 600.0
    factor: float = Field(default=10.0, gt=1, description="how many times its usual size the difference must be")
    window: Duration = Field(default=4 * 3600.0, description="how far back the usual size is looked for")
    least: int = Field(default=12, ge=2, le=40, description="least samples to compare with; the window holds 48")


def remember(view: View, settings: Settings) -> Memory:
    """Samples [time, difference] of the present process, and the step of the last: a step counts once."""
    page = view.page
    mismatch = page.value("trainer_sampling_mismatch") if page and page.is_up() and page.is_current() else None
    steps = page.value("trainer_steps_total") if page else None
    if mismatch is None or steps is None:
        return view.memory
    memory = recall(view)
    if steps == memory.get("steps"):
        return memory
    before: list[Sample] = memory.get("samples", [])
    every = settings.window / SAMPLES
    samples = keep(before, [view.now, mismatch], every_seconds=every, window_seconds=settings.window)
    if samples is before:
        return memory
    return {**memory, "steps": steps, "samples": since(samples, view.clock_stepped_at)}


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    if not page.is_current() or page.value("trainer_sampling_mismatch") is None:
        return UNKNOWN
    samples: list[Sample] = view.memory.get("samples", [])
    if len(samples) < RECENT + settings.least:
        # Without a past there is no alert; one that fires was raised by the process before this one.
        return inactive(say("Trainer was restarted."))
    recent = samples[-RECENT:]
    now, usual = median_low(one[1] for one in recent), median(one[1] for one in samples[:-RECENT])
    measured = say(
        "Probabilities of trainer and inference differ by {now:.3g}, usually {usual:.3g}; limit {limit:.3g}.",
        now=now,
        usual=usual,
        limit=settings.factor * usual,
    )
    if usual <= 0 or now < HYSTERESIS * settings.factor * usual:
        return inactive(measured)
    trend = find_trend(recent)
    is_growing = trend is not None and trend.slope > 0
    return active(measured) if now >= settings.factor * usual and is_growing else UNKNOWN


RULE = Rule(
    settings=Settings,
    judge=judge,
    remember=remember,
    doc=__doc__ or "",
    reads=("trainer_sampling_mismatch",),
)
