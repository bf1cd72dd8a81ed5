"""The trainer runs but makes no progress.

Progress is the later of its last step and the start of its phase. The silence that counts as a stall is the peer's
own: its telemetry derives it from its step times, with separate budgets for waiting, saving and starting.

What to do: send the trainer SIGUSR1 and read stacks.log in its run folder to see where it hangs; if nothing moves for
another minute, restart the peer.
"""

from pydantic import Field

from alerts.durations import Duration, describe_duration
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive
from alerts.rules.peer_down import is_before_first_step


class Settings(RuleSettings):
    """PeerStalled takes its threshold from the trainer itself."""

    recover_after: Duration = Field(default=15.0)


def judge(view: View, _settings: Settings) -> Verdict:
    reading = view.reading
    if reading is None or reading.is_up() is None:
        return UNKNOWN
    if not reading.is_up():
        return inactive("The trainer no longer runs, so it is not stalled.")
    stall_after = reading.value("trainer_stall_after_seconds")
    phase_start = reading.value("trainer_phase_start_timestamp_seconds")
    if stall_after is None or phase_start is None:
        return UNKNOWN
    # A start that takes too long is a peer that is down.
    if reading.state() == "starting" and is_before_first_step(reading):
        return inactive("The trainer was started anew.")
    progress = max(reading.value("trainer_last_step_timestamp_seconds") or 0.0, phase_start)
    # After the host slept or its clock was set, every time on the page looks old although no peer had time to step.
    silence = view.now - max(progress, view.clock_stepped_at)
    if silence <= stall_after:
        return inactive("The trainer makes progress again.")
    return active(
        f"No progress for {describe_duration(silence)} while {reading.state() or 'running'}; "
        f"this peer should need at most {describe_duration(stall_after)}.",
        since=progress,
    )


RULE = Rule(
    settings=Settings,
    judge=judge,
    inhibits=("RewardStagnant", "StepRateDegraded", "RoundLag"),
    doc=__doc__ or "",
    promql="""
time() - (
  trainer_last_step_timestamp_seconds > trainer_phase_start_timestamp_seconds
  or trainer_phase_start_timestamp_seconds
) > trainer_stall_after_seconds
and trainer_up == 1
and trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
""",
)
