"""The trainer runs but makes no progress.

Progress is the later of its last step and the start of its phase. The time without progress that counts as a stall is
the peer's own: its telemetry derives it from its steps, for generating and training apart, and has limits for waiting
and saving. Where its sidecar has learnt what its processes usually do, silence at rest counts sooner, at work later;
steps that take longer are StepRateDegraded's. Between the steps of a trainer that does not say what it does there (it
may evaluate, save, upload or skip data) a day passes before it counts. Where its progress is read from what it writes,
and it works on, ProgressMissing speaks instead, unless a single thread spins as it never did. One that is starting is
PeerDown's, one that has stopped never stalls.

What to do: read the end of the trainer's log and, where this alert shows them, its stacks, to see where it hangs; if
nothing moves for another minute, restart the peer; the steps since its last checkpoint are then lost.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, Text, join, say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Verdict, View, active, inactive
from alerts.rules._activity import (
    describe_activity,
    find_activity,
    find_limit,
    find_next_limit,
    find_progress,
    remember_silence,
    spins_instead,
)
from alerts.rules._problems import describe_problem
from alerts.scraping.page import Page

SKEW_SECONDS = 2.0


class Settings(RuleSettings):
    """PeerStalled takes its threshold from the trainer itself."""

    recover_after: Duration = Field(default=15.0)


def judge(view: View, _settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    stall_after = find_limit(page)
    phase_start = page.value("trainer_phase_start_timestamp_seconds")
    state = page.state()
    if phase_start is None:
        return UNKNOWN
    # A start that takes too long is PeerDown's.
    if state == "starting":
        return inactive(say("Trainer was restarted."))
    if state == "stopped":
        return inactive(say("Trainer has stopped training."))
    if stall_after is None:
        return UNKNOWN
    progress = find_progress(page)
    # After the host slept or its clock was set, every time on the page is old although no peer had time to step.
    silent_since = max(view.memory.get("silent_since", progress), view.clock_stepped_at)
    silence = view.now - silent_since
    if silence <= stall_after:
        next_limit = find_next_limit(page, silence) or stall_after
        return inactive(say("Making progress again."), until=silent_since + next_limit)
    activity = find_activity(view)
    # Of a trainer that reports by itself every step is known; of others, only what is read.
    if page.value("trainer_progress_readers"):
        if activity is None:
            return UNKNOWN
        if activity.is_busy and not spins_instead(page, activity):
            return inactive(say("Trainer works, but no progress is read."))
    stalled = say(
        "No progress for {time} while {state}; limit {limit}.",
        time=Seconds(silence),
        state=state or "running",
        limit=Seconds(stall_after),
    )
    worked = describe_activity(activity) if activity else None
    details = [describe_problem(page), _describe_last_step(view, page), worked, _describe_signal(page)]
    return active(join([stalled, *details]), since=progress)


def remember(view: View, _settings: Settings) -> Memory:
    """The CPU time at the first sample of a silence that has become long; nothing while the peer steps.

    A clock that was set back leaves the last progress in its future, for hours; the silence is counted from then.
    """
    page = view.page
    if page is None:
        return view.memory
    progress = find_progress(page)
    if view.memory.get("progress") == progress and "silent_since" in view.memory:
        return view.memory
    if _is_of_the_clock_before(progress, view):
        return {"progress": progress, "silent_since": view.clock_stepped_at}
    return remember_silence(view, find_limit(page))


def _is_of_the_clock_before(progress: float, view: View) -> bool:
    """Whether a time is in the future because the clock was set back, not as another host's clock leads a little."""
    clock_before = view.clock_stepped_at - view.clock_step_seconds
    return view.clock_step_seconds < 0 and view.now + SKEW_SECONDS < progress <= clock_before + SKEW_SECONDS


def _describe_last_step(view: View, page: Page) -> Text | None:
    last_step, steps = page.value("trainer_last_step_timestamp_seconds"), page.value("trainer_steps_total")
    if last_step is None or steps is None or last_step > view.now:
        return None
    return say("Last step: {steps:.0f}, {time} ago.", steps=steps, time=Seconds(view.now - last_step))


def _describe_signal(page: Page) -> Text | None:
    """How to find out where it hangs: only where the signal would not end the trainer."""
    if page.value("trainer_stacks_on_signal") != 1:
        return None
    return say("On SIGUSR1 it writes its stacks to stacks.log.")


RULE = Rule(
    settings=Settings,
    chart="step rate",
    judge=judge,
    remember=remember,
    evidence=("process", "waiting", "log", "stacks"),
    inhibits=("RewardStagnant", "StepRateDegraded", "RoundLag", "KnownProblem"),
    restart="at once",
    doc=__doc__ or "",
    promql="""
time() - (
  trainer_last_step_timestamp_seconds > trainer_phase_start_timestamp_seconds
  or trainer_phase_start_timestamp_seconds
) > (trainer_activity_stall_after_seconds or trainer_stall_after_seconds)
and trainer_up == 1
and trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
unless on (instance) trainer_state{trainer_state=~"starting|stopped"} == 1
unless on (instance) (
  trainer_progress_readers > 0
  and on (instance) (
    trainer_activity_state{trainer_activity_state="usual"} == 1
    or rate(trainer_cpu_seconds_total[2m]) > 0.02
    unless on (instance) trainer_activity_state{trainer_activity_state="rest"} == 1
    unless on (instance) (
      trainer_activity_state{trainer_activity_state="spinning"} == 1
      and on (instance) trainer_progress_up == 1
    )
  )
)
""",
    keeps="""
trainer_up == 1
unless on (instance) (trainer_stall_after_seconds and on (instance) trainer_phase_start_timestamp_seconds)
unless on (instance) trainer_phase_start_timestamp_seconds < trainer_start_timestamp_seconds
unless on (instance) (
  trainer_phase_start_timestamp_seconds
  and on (instance) trainer_state{trainer_state=~"starting|stopped"} == 1
)
""",
    reads=(
        "trainer_activity_cores",
        "trainer_activity_stall_after_seconds",
        "trainer_activity_state",
        "trainer_activity_usual_cores",
        "trainer_progress_up",
        "trainer_stacks_on_signal",
        "trainer_stall_at_rest_after_seconds",
    ),
)
