"""The peer steps and learns nothing: all completions of a group earn the same.

GRPO learns from differences within a group of completions. Where no group has any, the gradient is 0, and steps cost
time and change nothing. Single steps of this kind are normal, at the end of an easy task most steps; only an unbroken
run of them counts. Where the gradient does not show it, for a KL term pulls at the weights too, no gradient is logged,
or rounding leaves one, it must last `longer`.

What to do: if all completions are right, give the peer a harder task or end the run; if all are wrong, an easier one,
or look at what the reward function makes of the completions; if all are cut off, allow longer completions.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, Text, join, say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.scraping.page import Page

STREAK, CUT_OFF = "no_signal", "cut_off"
# Of the range of the run's own mean rewards: nearer than this to an end of it is that end.
NEAR = 0.02
# Of a reward: a range that is smaller is none.
SAME = 1e-6
NO_GRADIENT = 1e-6


class Settings(RuleSettings):
    """Thresholds of NoLearningSignal: so many logged steps in a row, and so much time from the first to the last."""

    severity: Severity = "warning"
    recover_after: Duration = 600.0
    steps: int = Field(default=20, ge=1, description="logged steps in a row without a learning signal")
    after: Duration = Field(default=1800.0, description="time that these steps must take at least")
    longer: float = Field(
        default=3.0, ge=1, le=100, description="times as much of both where the gradient does not tell"
    )

    @property
    def longer_steps(self) -> float:
        """Steps where the gradient does not tell."""
        return self.steps * self.longer

    @property
    def longer_after_seconds(self) -> float:
        """Seconds where the gradient does not tell."""
        return self.after * self.longer


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    reports, last_step = (
        page.value("trainer_streak_reports", streak=STREAK),
        page.value("trainer_last_step_timestamp_seconds"),
    )
    if reports is None or last_step is None or not page.is_current():
        return UNKNOWN
    since = page.value("trainer_streak_start_timestamp_seconds", streak=STREAK)
    if not reports or since is None:
        return inactive(say("Completions of a group differ in reward."))
    factor = settings.longer if _is_gradient_silent(page) else 1.0
    least, limit = settings.steps * factor, settings.after * factor
    seconds = last_step - max(since, view.clock_stepped_at)
    measured = say(
        "No learning signal for {time}, {reports:.0f} logged steps; limit {limit}, {least:.0f} steps.",
        time=Seconds(max(0.0, seconds)),
        reports=reports,
        limit=Seconds(limit),
        least=least,
    )
    if reports < least or seconds < limit:
        # One group that differs by chance is no recovery; nothing can be said before the steps are enough again.
        return UNKNOWN
    return active(join([measured, _explain(page, settings.steps)]), since=since)


def _is_gradient_silent(page: Page) -> bool:
    gradient = page.value("trainer_grad_norm")
    return page.value("trainer_kl") is not None or gradient is None or gradient > NO_GRADIENT


def _explain(page: Page, steps: float) -> Text | None:
    """All right, all cut off or all wrong, as far as this run's own rewards tell; None where no reward is known.

    One step's completions may all be cut off by chance; those of `steps` in a row are not.
    """
    reward, deviation = page.value("trainer_reward_mean"), page.value("trainer_reward_std") or 0.0
    lowest, highest = page.value("trainer_reward_mean_lowest"), page.value("trainer_reward_mean_highest")
    if reward is None or lowest is None or highest is None:
        return None
    span = highest - lowest
    has_moved, is_one = span > SAME * max(1.0, abs(highest)), deviation <= NEAR * span
    values = {"reward": reward, "lowest": lowest, "highest": highest}
    if has_moved and is_one and highest - reward <= NEAR * span:
        return say("All are right: reward {reward:.4g}, in this run {lowest:.4g} to {highest:.4g}.", **values)
    if (page.value("trainer_streak_reports", streak=CUT_OFF) or 0.0) >= steps:
        return say("All are cut off at the maximum length: reward {reward:.4g}.", reward=reward)
    if not has_moved:
        return say("All rewards of this run are {reward:.4g}: they do not tell whether that is right.", reward=reward)
    if not is_one:
        return say("Each group is all right or all wrong: mean reward {reward:.4g}.", reward=reward)
    if reward - lowest <= NEAR * span:
        return say("All are wrong: reward {reward:.4g}, in this run {lowest:.4g} to {highest:.4g}.", **values)
    return say("All earn the same: reward {reward:.4g}, in this run {lowest:.4g} to {highest:.4g}.", **values)


RULE = Rule(
    settings=Settings,
    judge=judge,
    doc=__doc__ or "",
    reads=(
        "trainer_streak_reports",
        "trainer_streak_start_timestamp_seconds",
        "trainer_grad_norm",
        "trainer_kl",
        "trainer_reward_mean_lowest",
        "trainer_reward_mean_highest",
    ),
    promql="""
max without (streak) (
  trainer_streak_reports{streak="no_signal"} >= %(longer_steps)g
  or trainer_streak_reports{streak="no_signal"} >= %(steps)d
    and on (instance) (trainer_grad_norm <= 1e-6 unless on (instance) trainer_kl)
)
and on (instance) (
  trainer_last_step_timestamp_seconds
    - on (instance) trainer_streak_start_timestamp_seconds{streak="no_signal"} >= %(longer_after_seconds)g
  or trainer_last_step_timestamp_seconds
    - on (instance) trainer_streak_start_timestamp_seconds{streak="no_signal"} >= %(after_seconds)g
    and on (instance) (trainer_grad_norm <= 1e-6 unless on (instance) trainer_kl)
)
and on (instance) trainer_up == 1
and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
""",
    keeps="""
trainer_up == 1
unless on (instance) (
  trainer_streak_reports{streak="no_signal"} == 0
  and on (instance) trainer_last_step_timestamp_seconds
  and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
)
""",
)
