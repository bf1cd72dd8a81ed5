"""The trainer is not running, or its state is unknown.

It is down when its process is gone, when it was started and has made no step once its time to start is over, or when
its sidecar does not answer. A trainer that has finished is not down. A single restart does not fire: from the start of
a process to its first step the rule keeps its last verdict, so that a planned restart stays quiet and a crash loop does
not flap.

What to do: if its sidecar does not answer, start the sidecar again; else read the end of the trainer's log, check
whether the host is out of memory or disk, and start the trainer again once it has ended.
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
    unreachable_after: Duration = Field(default=60.0, description="time without an answer of the sidecar that counts")
    start_within: Duration = Field(default=600.0, description="time to start, where the trainer reports none")

    @property
    def silence(self) -> str:
        """For PromQL, whose ranges include a sample at their very begin: 1 ms less than `unreachable_after`."""
        return f"{max(1, round(self.unreachable_after * 1000) - 1)}ms"


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None:
        return _judge_unreachable(view, settings)
    up = page.is_up()
    if up is None:
        return UNKNOWN
    if not up:
        return inactive(say("Trainer finished.")) if has_finished(page) else _judge_absence(view, settings)
    # Where reports are read, those that are missing are ProgressMissing's.
    if not is_before_first_step(page) or page.value("trainer_progress_readers") is not None:
        return inactive(say("Trainer running."))
    return _judge_start(view, page, settings)


def remember(view: View, _settings: Settings) -> Memory:
    """When the peer was first sampled, and whether it has ever run since."""
    # A time in the future was written before the clock was set back.
    memory: dict[str, Any] = {**view.memory, "first_seen_at": min(view.memory.get("first_seen_at", view.now), view.now)}
    if view.page is not None and view.page.is_up():
        memory["has_run"] = True
    return memory


def is_before_first_step(page: Page) -> bool:
    """Whether the running process has made no step yet; the time of the last step outlives a restart."""
    started = page.value("trainer_start_timestamp_seconds")
    last_step = page.value("trainer_last_step_timestamp_seconds")
    return started is not None and (last_step is None or last_step < started)


def has_finished(page: Page) -> bool:
    """Whether a trainer that is gone has done all that it was to do."""
    code, expected = page.value("trainer_exit_code"), page.value("trainer_expected_steps")
    if code is not None:
        return code == 0
    return expected is not None and (page.value("trainer_steps_total") or 0.0) >= expected


def _judge_unreachable(view: View, settings: Settings) -> Verdict:
    if view.unreachable_seconds < settings.unreachable_after:
        return unknown(until=view.now - view.unreachable_seconds + settings.unreachable_after)
    return active(
        say(
            "Sidecar unreachable for {time} ({failure}); limit {limit}; trainer state unknown.",
            time=Seconds(view.unreachable_seconds),
            failure=view.failure,
            limit=Seconds(settings.unreachable_after),
        ),
        since=view.now - view.unreachable_seconds,
    )


def _judge_absence(view: View, settings: Settings) -> Verdict:
    first_seen = view.memory.get("first_seen_at", view.now)
    if not view.memory.get("has_run"):
        # Peers start one after the other; one that was never seen running may still wait for its turn.
        late_at = max(first_seen, view.clock_stepped_at) + settings.start_within
        if view.now < late_at:
            return unknown(until=late_at)
        measured = say(
            "Trainer not seen running for {time}; limit {limit}.",
            time=Seconds(view.now - first_seen),
            limit=Seconds(settings.start_within),
        )
        return active(measured, since=first_seen)
    state = view.page.state() if view.page else None
    if state == "stopped":
        return active(say("Trainer exited and was not restarted."))
    if state:
        return active(say("Trainer process gone; last state: {state}.", state=state))
    return active(say("Trainer process gone."))


def _judge_start(view: View, page: Page, settings: Settings) -> Verdict:
    started = page.value("trainer_start_timestamp_seconds") or view.now
    state = page.state()
    if state == "waiting":
        return inactive(say("Trainer running, waiting."))
    reported = page.value("trainer_stall_after_seconds") if page.is_current() else None
    limit = settings.start_within if reported is None else reported
    if state != "starting":
        return UNKNOWN
    late_at = max(started, view.clock_stepped_at) + limit
    if view.now <= late_at:
        return unknown(until=late_at)
    return active(
        say(
            "No step since the trainer started {time} ago; limit {limit}.",
            time=Seconds(view.now - started),
            limit=Seconds(limit),
        ),
        since=started,
    )


RULE = Rule(
    settings=Settings,
    chart="step rate",
    judge=judge,
    remember=remember,
    evidence=("cause", "log"),
    inhibits=(
        "PeerStalled",
        "KnownProblem",
        "RewardStagnant",
        "RewardNotCounting",
        "NeverSubmits",
        "StepRateDegraded",
        "RoundLag",
        "OffBoard",
        "RankDrop",
        "SwarmIsolated",
        "SourceDown",
    ),
    doc=__doc__ or "",
    reads=("trainer_exit_code", "trainer_expected_steps"),
    # PromQL does not know whether a trainer has ever run, so one that waits for its turn counts as down.
    promql="""
trainer_up == 0 unless on (instance) trainer_exit_code == 0 unless on (instance) (
  trainer_steps_total >= on (instance) trainer_expected_steps unless on (instance) trainer_exit_code
)
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
unless on (instance) trainer_progress_readers
or max_over_time(up{peer!=""}[%(silence)s]) == 0 and up{peer!=""} offset %(silence)s
""",
    keeps="""
trainer_start_timestamp_seconds
unless on (instance) trainer_progress_readers
unless on (instance) trainer_last_step_timestamp_seconds >= trainer_start_timestamp_seconds
unless on (instance) (
  trainer_state{trainer_state="waiting"} == 1
  and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
)
""",
)
