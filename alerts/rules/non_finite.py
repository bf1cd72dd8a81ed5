"""Losses, rewards, gradients or the KL of the peer are repeatedly not finite.

One such step in thousands is normal at half precision. Several within the window, at more than `fraction` of the steps,
mean that the model is lost or soon will be: it learns nothing and earns nothing. Several in a row mean that it is lost,
and the alert then has `severity_in_a_row`. A reward of None, which no reward function gave, counts; so does a gradient
norm, where transformers replaces the loss itself by a finite one.

What to do: stop the peer and, if it writes checkpoints, go back to the one before the first such step; lower the
learning rate, clip the gradient harder, or train in float32.
"""

from math import ceil

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.rules._window import Sample, keep, recall, since

SAMPLES = 12


class Settings(RuleSettings):
    """Thresholds of NonFinite."""

    severity: Severity = "warning"
    recover_after: Duration = 60.0
    steps: int = Field(default=3, ge=1, description="steps within the window that are not finite")
    fraction: float = Field(default=0.01, ge=0, le=1, description="share of the window's steps that they must make up")
    in_a_row: int = Field(
        default=3, ge=1, description="logged steps in a row that are not finite, however rare others are"
    )
    severity_in_a_row: Severity = Field(default="critical", description="severity of that, in the alert loop")
    window: Duration = Field(default=3600.0, description="time over which steps are counted")


def remember(view: View, settings: Settings) -> Memory:
    """Samples of both counters [time, not finite, all] of the present process."""
    page = view.page
    counts = _count(view) if page is not None and page.is_up() and page.is_current() else None
    if counts is None:
        return view.memory
    memory = recall(view)
    before: list[Sample] = memory.get("samples", [])
    if any(now < then for now, then in zip(counts, before[-1][1:] if before else (), strict=False)):
        before = []
    every = settings.window / SAMPLES
    samples = keep(before, [view.now, *counts], every_seconds=every, window_seconds=settings.window)
    return {**memory, "samples": since(samples, view.clock_stepped_at)}


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    if (
        page.is_current()
        and (streak := page.value("trainer_streak_reports", streak="not_finite") or 0) >= settings.in_a_row
    ):
        template = "{streak:.0f} logged steps in a row not finite; limit {limit}."
        summary = say(template, streak=streak, limit=settings.in_a_row)
        return active(summary, severity=settings.severity_in_a_row)
    counts, samples = _count(view), view.memory.get("samples", [])
    if counts is None or not samples or not page.is_current():
        return UNKNOWN
    nonfinite, steps = (now - then for now, then in zip(counts, samples[0][1:], strict=True))
    limit = max(settings.steps, ceil(settings.fraction * steps))
    measured = say(
        "{nonfinite:.0f} of {steps:.0f} steps not finite in {time}; limit {limit:.0f}.",
        nonfinite=nonfinite,
        steps=steps,
        time=Seconds(view.now - samples[0][0]),
        limit=limit,
    )
    return active(measured) if nonfinite >= limit else inactive(measured)


def _count(view: View) -> tuple[float, float] | None:
    if view.page is None:
        return None
    nonfinite = view.page.value("trainer_nonfinite_steps_total")
    steps = view.page.value("trainer_steps_total")
    return None if nonfinite is None or steps is None else (nonfinite, steps)


RULE = Rule(
    settings=Settings,
    judge=judge,
    remember=remember,
    doc=__doc__ or "",
    reads=("trainer_streak_reports",),
    # increase() extrapolates, and adds what the process before a restart counted. A counter begins at 0, so the least
    # value of the window is where the window, or this process, began.
    promql="""
(
  max without (streak) (trainer_streak_reports{streak="not_finite"} >= %(in_a_row)d)
  or trainer_nonfinite_steps_total - min_over_time(trainer_nonfinite_steps_total[%(window)s]) >= %(steps)d
  and on (instance) trainer_nonfinite_steps_total - min_over_time(trainer_nonfinite_steps_total[%(window)s])
    >= on (instance) %(fraction)g * (trainer_steps_total - min_over_time(trainer_steps_total[%(window)s]))
)
and on (instance) trainer_up == 1
and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
""",
    keeps="""
trainer_up == 1
unless on (instance) (
  trainer_nonfinite_steps_total
  and on (instance) trainer_steps_total
  and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
)
""",
)
