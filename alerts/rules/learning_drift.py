"""Entropy, KL, length or reward are far from what they were before, in the peer's own history.

What is healthy differs from run to run: entropies from 0.12 to 0.84 do, and lengths change as a model learns to think.
So there is no limit but the peer's own past, and a change need not be bad: the rule is off unless you switch it on.

What to do: look at the peer's dashboard, section Learning, for what changed first; a reward that falls while lengths or
KL rise is the usual sign of a policy that has gone astray: lower the learning rate, or go back to a checkpoint.
"""

from collections.abc import Iterator, Mapping
from statistics import median

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Text, join, say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.rules._window import recall
from alerts.scraping.page import Page

# In the order of the samples' values.
METRICS = ("trainer_entropy", "trainer_kl", "trainer_completion_tokens", "trainer_reward_mean")
SAMPLES = 96
# The last samples are the present.
RECENT = 4


class Settings(RuleSettings):
    """Thresholds of LearningDrift."""

    enabled: bool = False
    severity: Severity = "info"
    recover_after: Duration = 1800.0
    factor: float = Field(default=4.0, gt=1, description="how many times larger or smaller entropy, KL, length must be")
    fall: float = Field(default=0.5, gt=0, le=1, description="part of its range in this run that the reward must fall")
    window: Duration = Field(default=86400.0, description="how far back the usual values are looked for")
    least: int = Field(default=16, ge=2, le=90, description="least samples to compare with; the window holds 96")


def remember(view: View, settings: Settings) -> Memory:
    """Samples [time, entropy, KL, length, reward] of the present process; None where a value is not measured."""
    page = view.page
    if page is None or not page.is_up() or not page.is_current():
        return view.memory
    values = [page.value(metric) for metric in METRICS]
    memory = recall(view)
    before: list[list[float | None]] = memory.get("samples", [])
    last = (before[-1][0] or 0.0) if before else -settings.window
    if values == [None] * len(values) or 0 <= view.now - last < settings.window / SAMPLES:
        return memory
    begin = max(view.now - settings.window, view.clock_stepped_at)
    kept = [one for one in before if begin <= (one[0] or 0.0) < view.now]
    return {**memory, "samples": [*kept, [view.now, *values]]}


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    samples: list[list[float | None]] = view.memory.get("samples", [])
    if len(samples) < RECENT + settings.least:
        return inactive(say("Trainer was restarted."))
    usual, now = _medians(samples[:-RECENT]), _medians(samples[-RECENT:])
    found = list(_find_drifts(page, usual, now, settings))
    return active(join(found)) if found else inactive(say("Learning as usual."))


def _medians(samples: list[list[float | None]]) -> Mapping[str, float]:
    """The median of each value that was measured."""
    columns = {metric: [one[place] for one in samples] for place, metric in enumerate(METRICS, start=1)}
    measured = {metric: [value for value in column if value is not None] for metric, column in columns.items()}
    return {metric: median(column) for metric, column in measured.items() if column}


def _find_drifts(
    page: Page, usual: Mapping[str, float], now: Mapping[str, float], settings: Settings
) -> Iterator[Text]:
    both = {metric: (now[metric], usual[metric]) for metric in METRICS if metric in now and metric in usual}
    for metric, (recent, before) in both.items():
        values = {"now": recent, "usual": before}
        low, high = sorted((recent, before))
        has_drifted = low >= 0 and high > 0 and high >= settings.factor * low
        if metric == "trainer_entropy" and has_drifted:
            yield say("Entropy {now:.3g}, usually {usual:.3g}.", **values)
        elif metric == "trainer_kl" and has_drifted and recent > before:
            yield say("KL {now:.3g}, usually {usual:.3g}.", **values)
        elif metric == "trainer_completion_tokens" and has_drifted:
            yield say("Completions of {now:.0f} tokens, usually {usual:.0f}.", **values)
        elif metric == "trainer_reward_mean" and before - recent > settings.fall * _find_range(page):
            yield say("Reward {now:.4g}, usually {usual:.4g}.", **values)


def _find_range(page: Page) -> float:
    lowest, highest = page.value("trainer_reward_mean_lowest"), page.value("trainer_reward_mean_highest")
    return float("inf") if lowest is None or highest is None or highest <= lowest else highest - lowest


RULE = Rule(
    settings=Settings,
    judge=judge,
    remember=remember,
    doc=__doc__ or "",
    reads=(*METRICS, "trainer_reward_mean_lowest", "trainer_reward_mean_highest"),
)
