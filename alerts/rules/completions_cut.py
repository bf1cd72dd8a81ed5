"""All completions are cut off at the maximum length, and the reward stays where it is.

A completion that is cut off gives no answer that could be rewarded. There are runs that learn all the same, from what
stands before the cut: their reward moves, and as long as it moves by more than a fiftieth this rule is quiet, whatever
share is cut off. So it is where the reward is the best that this run has had.

What to do: allow longer completions (`max_completion_length`), ask for shorter ones in the prompt, or check that the
model's end token is the one that the trainer stops at.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.scraping.page import Page

STREAK = "cut_off"
# Of the range of the run's own mean rewards: nearer than this to its upper end is the best.
NEAR = 0.02


class Settings(RuleSettings):
    """Thresholds of CompletionsCut: a tiny model makes its 20 steps in a second."""

    severity: Severity = "warning"
    for_: Duration = Field(default=300.0, alias="for")
    recover_after: Duration = 600.0
    steps: int = Field(
        default=20, ge=1, description="logged steps in a row in which none ended by itself and the reward was flat"
    )
    ratio: float = Field(default=0.95, gt=0, le=1, description="share of completions that must be cut off")


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    reports = page.value("trainer_streak_reports", streak=STREAK)
    ratio, reward = page.value("trainer_completion_clipped_ratio"), page.value("trainer_reward_mean")
    if reports is None or ratio is None or reward is None or not page.is_current():
        return UNKNOWN
    since = page.value("trainer_streak_start_timestamp_seconds", streak=STREAK)
    if reports <= 1 or ratio < settings.ratio or _is_best(page, reward):
        return inactive(say("{ratio:.0%} of completions cut off; reward {reward:.4g}.", ratio=ratio, reward=reward))
    if reports < settings.steps:
        # The reward moved once, and has been flat since.
        return UNKNOWN
    return active(
        say(
            "No completion ended by itself in {reports:.0f} logged steps ({time}), reward {reward:.4g}; limit {limit}.",
            reports=reports,
            time=Seconds(max(0.0, view.now - (since or view.now))),
            reward=reward,
            limit=settings.steps,
        ),
        since=since,
    )


def _is_best(page: Page, reward: float) -> bool:
    """Whether the mean reward is the highest of this run, where it has moved at all."""
    lowest, highest = page.value("trainer_reward_mean_lowest"), page.value("trainer_reward_mean_highest")
    if lowest is None or highest is None or highest <= lowest:
        return False
    return reward >= highest - NEAR * (highest - lowest)


RULE = Rule(
    settings=Settings,
    judge=judge,
    inhibits=("NoLearningSignal",),
    doc=__doc__ or "",
    reads=(
        "trainer_streak_reports",
        "trainer_streak_start_timestamp_seconds",
        "trainer_completion_clipped_ratio",
        "trainer_reward_mean_lowest",
        "trainer_reward_mean_highest",
    ),
    promql="""
max without (streak) (trainer_streak_reports{streak="cut_off"} >= %(steps)d)
and on (instance) trainer_completion_clipped_ratio >= %(ratio)g
unless on (instance) (
  trainer_reward_mean >= 0.98 * trainer_reward_mean_highest + 0.02 * trainer_reward_mean_lowest
  and on (instance) trainer_reward_mean_highest > trainer_reward_mean_lowest
)
and on (instance) trainer_reward_mean
and on (instance) trainer_up == 1
and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
""",
    keeps="""
trainer_up == 1
unless on (instance) (
  (
    trainer_streak_reports{streak="cut_off"} <= 1
    or trainer_streak_reports{streak="cut_off"}
      and on (instance) (
        trainer_completion_clipped_ratio < %(ratio)g
        or trainer_reward_mean >= 0.98 * trainer_reward_mean_highest + 0.02 * trainer_reward_mean_lowest
          and on (instance) trainer_reward_mean_highest > trainer_reward_mean_lowest
      )
  )
  and on (instance) trainer_completion_clipped_ratio
  and on (instance) trainer_reward_mean
  and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
)
""",
)
