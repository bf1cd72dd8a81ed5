"""The trainer does not run, or nothing can tell whether it does.

It is down when its process is gone, when it was started and has still made no step once its time to start is over,
or when its sidecar does not answer. A restart alone is not told: from the start of a process to its first step the
rule keeps the verdict that it had, so that a planned restart stays quiet and a crash loop does not flap.

What to do: read the end of trainer.log in the peer's run folder; look whether the host is out of memory or disk; then
start the peer again.
"""

from typing import Any

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Verdict, View, active, inactive, unknown
from alerts.scraping.page import Page


class Settings(RuleSettings):
    """Thresholds of PeerDown."""

    for_: Duration = Field(default=30.0, alias="for")
    recover_after: Duration = 30.0
    unreachable_after: Duration = Field(default=60.0, description="silence of the sidecar that counts as down")
    start_within: Duration = Field(default=600.0, description="time to start, where the trainer does not tell its own")

    @property
    def silence(self) -> str:
        """For PromQL, whose ranges hold a sample at their very begin: a hair less than `unreachable_after`."""
        return f"{max(1, round(self.unreachable_after * 1000) - 1)}ms"


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None:
        return _judge_silence(view, settings)
    up = page.is_up()
    if up is None:
        return UNKNOWN
    if not up:
        return _judge_absence(view, settings)
    if not is_before_first_step(page):
        return inactive(say("The trainer runs."))
    return _judge_start(view, page, settings)


def remember(view: View, _settings: Settings) -> Memory:
    """When the peer was first looked at, and whether it has ever run since."""
    # A time to come was written before the clock was put back.
    memory: dict[str, Any] = {**view.memory, "first_seen_at": min(view.memory.get("first_seen_at", view.now), view.now)}
    if view.page is not None and view.page.is_up():
        memory["has_run"] = True
    return memory


def is_before_first_step(page: Page) -> bool:
    """Whether the running process has made no step yet; the time of the last step outlives a restart."""
    started = page.value("trainer_start_timestamp_seconds")
    last_step = page.value("trainer_last_step_timestamp_seconds")
    return started is not None and (last_step is None or last_step < started)


def _judge_silence(view: View, settings: Settings) -> Verdict:
    if view.unreachable_seconds < settings.unreachable_after:
        return unknown(until=view.now - view.unreachable_seconds + settings.unreachable_after)
    return active(
        say(
            "Its sidecar has not answered for {time} ({failure}), so nothing tells whether the trainer runs.",
            time=Seconds(view.unreachable_seconds),
            failure=view.failure,
        ),
        since=view.now - view.unreachable_seconds,
    )


def _judge_absence(view: View, settings: Settings) -> Verdict:
    first_seen = view.memory.get("first_seen_at", view.now)
    if not view.memory.get("has_run"):
        # Peers start one after the other; one that was never seen running may be waiting for its turn.
        late_at = max(first_seen, view.clock_stepped_at) + settings.start_within
        if view.now < late_at:
            return unknown(until=late_at)
        return active(say("The trainer has never been seen running."), since=first_seen)
    state = view.page.state() if view.page else None
    if state == "stopped":
        return active(say("The trainer has ended in good order and was not started again."))
    if state:
        return active(say("The trainer's process is gone; it was {state} when last heard of.", state=state))
    return active(say("The trainer's process is gone."))


def _judge_start(view: View, page: Page, settings: Settings) -> Verdict:
    started = page.value("trainer_start_timestamp_seconds") or view.now
    state = page.state()
    if state == "waiting":
        return inactive(say("The trainer runs and waits for the swarm."))
    told = page.value("trainer_stall_after_seconds") if page.is_current() else None
    budget = settings.start_within if told is None else told
    if state != "starting":
        return UNKNOWN
    late_at = max(started, view.clock_stepped_at) + budget
    if view.now <= late_at:
        return unknown(until=late_at)
    return active(
        say(
            "The trainer was started {time} ago and has made no step; it should have started within {budget}.",
            time=Seconds(view.now - started),
            budget=Seconds(budget),
        ),
        since=started,
    )


RULE = Rule(
    settings=Settings,
    judge=judge,
    remember=remember,
    inhibits=(
        "PeerStalled",
        "RewardStagnant",
        "StepRateDegraded",
        "RoundLag",
        "OffBoard",
        "RankDrop",
        "SwarmIsolated",
        "SourceDown",
    ),
    doc=__doc__ or "",
    # PromQL does not know whether a trainer has ever run, so one that waits for its turn counts as down.
    promql="""
trainer_up == 0
or time() - trainer_start_timestamp_seconds > (
  trainer_stall_after_seconds and trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
  or trainer_start_timestamp_seconds * 0 + %(start_within_seconds)d
)
and on (instance) (
  trainer_state{trainer_state="starting"} == 1
  or trainer_phase_start_timestamp_seconds < trainer_start_timestamp_seconds
  or trainer_start_timestamp_seconds unless trainer_phase_start_timestamp_seconds
)
unless on (instance) trainer_last_step_timestamp_seconds >= trainer_start_timestamp_seconds
or max_over_time(up{peer!=""}[%(silence)s]) == 0 and up{peer!=""} offset %(silence)s
""",
    keeps="""
trainer_start_timestamp_seconds
unless on (instance) trainer_last_step_timestamp_seconds >= trainer_start_timestamp_seconds
unless on (instance) (
  trainer_state{trainer_state="waiting"} == 1
  and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
)
""",
)
