"""The trainer runs but makes no progress.

Progress is the later of its last step and the start of its phase. The time without progress that counts as a stall is
the peer's own: its telemetry derives it from its steps, for generating and training apart, and has limits for waiting
and saving. Between the steps of a trainer that does not say what it does there (it may evaluate, save, upload or skip
data) a day passes before it counts. One that is starting is PeerDown's, one that has stopped never stalls.

What to do: read the end of the trainer's log and, where this alert shows them, its stacks, to see where it hangs; if
nothing moves for another minute, restart the peer; the steps since its last checkpoint are then lost.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, Text, join, say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Verdict, View, active, inactive
from alerts.scraping.page import Page

# Hung processes still wake up now and then; busy ones use far more than this share of a core.
IDLE_SHARE = 0.02
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
    stall_after = page.value("trainer_stall_after_seconds")
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
    progress = _find_progress(page)
    # After the host slept or its clock was set, every time on the page is old although no peer had time to step.
    silent_since = max(view.memory.get("silent_since", progress), view.clock_stepped_at)
    silence = view.now - silent_since
    if silence <= stall_after:
        return inactive(say("Making progress again."), until=silent_since + stall_after)
    stalled = say(
        "No progress for {time} while {state}; limit {limit}.",
        time=Seconds(silence),
        state=state or "running",
        limit=Seconds(stall_after),
    )
    details = [_describe_last_step(view, page), _describe_cpu(view, page), _describe_signal(page)]
    return active(join([stalled, *details]), since=progress)


def remember(view: View, _settings: Settings) -> Memory:
    """The CPU time at the first sample of a silence that has become long; nothing while the peer steps.

    A clock that was set back leaves the last progress in its future, for hours; the silence is counted from then.
    """
    page = view.page
    if page is None:
        return view.memory
    progress, cpu = _find_progress(page), page.value("trainer_cpu_seconds_total")
    if view.memory.get("progress") == progress and "silent_since" in view.memory:
        return view.memory
    if _is_of_the_clock_before(progress, view):
        return {"progress": progress, "silent_since": view.clock_stepped_at}
    stall_after = page.value("trainer_stall_after_seconds")
    if view.memory.get("progress") == progress and cpu is not None and cpu >= view.memory["cpu"]:
        return view.memory
    if cpu is None or stall_after is None or view.now - progress < stall_after / 2:
        return {}
    return {"progress": progress, "at": view.now, "cpu": cpu}


def _is_of_the_clock_before(progress: float, view: View) -> bool:
    """Whether a time is in the future because the clock was set back, not as another host's clock leads a little."""
    clock_before = view.clock_stepped_at - view.clock_step_seconds
    return view.clock_step_seconds < 0 and view.now + SKEW_SECONDS < progress <= clock_before + SKEW_SECONDS


def _find_progress(page: Page) -> float:
    """The later of the last step and the start of the phase."""
    return max(
        page.value("trainer_last_step_timestamp_seconds") or 0.0,
        page.value("trainer_phase_start_timestamp_seconds") or 0.0,
    )


def _describe_last_step(view: View, page: Page) -> Text | None:
    last_step, steps = page.value("trainer_last_step_timestamp_seconds"), page.value("trainer_steps_total")
    if last_step is None or steps is None or last_step > view.now:
        return None
    return say("Last step: {steps:.0f}, {time} ago.", steps=steps, time=Seconds(view.now - last_step))


def _describe_cpu(view: View, page: Page) -> Text | None:
    """Whether its processes are idle or busy, since the silence became long."""
    cpu, before = page.value("trainer_cpu_seconds_total"), view.memory.get("cpu")
    seconds = view.now - view.memory.get("at", view.now)
    if cpu is None or before is None or seconds < 1.0:
        return None
    used = max(0.0, cpu - before)
    if used < IDLE_SHARE * seconds:
        template = "CPU idle: {used:.1f} s used in {time}."
    else:
        template = "CPU busy: {used:.1f} s used in {time}."
    return say(template, used=used, time=Seconds(seconds))


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
    evidence=("process", "log", "stacks"),
    inhibits=("RewardStagnant", "StepRateDegraded", "RoundLag"),
    restart="at once",
    doc=__doc__ or "",
    promql="""
time() - (
  trainer_last_step_timestamp_seconds > trainer_phase_start_timestamp_seconds
  or trainer_phase_start_timestamp_seconds
) > trainer_stall_after_seconds
and trainer_up == 1
and trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
unless on (instance) trainer_state{trainer_state=~"starting|stopped"} == 1
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
    reads=("trainer_stacks_on_signal",),
)
