"""PeerDown: gone, never started, stuck in its start, or unreachable."""

from alerts.rules.peer_down import Settings, judge, remember
from tests.alerts.rules.pages import NOW, silent, view

SETTINGS = Settings()
HAS_RUN = {"first_seen_at": NOW - 9999, "has_run": True}
RESTARTED = {
    "started": NOW - 20,
    "phase_start": NOW - 15,
    "state": "starting",
    "last_step": NOW - 60,
    "stall_after": 600,
}


def test_a_peer_that_runs_is_not_down() -> None:
    assert judge(view(memory=HAS_RUN), SETTINGS).condition == "inactive"


def test_a_process_that_is_gone_is_down_and_its_last_state_is_named() -> None:
    verdict = judge(view(up=0, memory=HAS_RUN), SETTINGS)
    assert verdict.condition == "active"
    assert verdict.summary == "Trainer process gone; last state: training."


def test_a_trainer_that_told_its_end_is_not_said_to_have_ended_well() -> None:
    """One that crashes tells it too, as far as it can."""
    assert "Trainer exited and" in judge(view(up=0, state="stopped", memory=HAS_RUN), SETTINGS).summary


def test_a_sidecar_that_does_not_know_gives_no_verdict() -> None:
    assert judge(view(up=None, memory=HAS_RUN), SETTINGS).condition == "unknown"


def test_a_silent_sidecar_counts_after_a_while_and_is_named() -> None:
    assert judge(silent(59), SETTINGS).condition == "unknown"
    verdict = judge(silent(75), SETTINGS)
    assert verdict.condition == "active"
    assert verdict.summary.startswith("Sidecar unreachable for 1 min 15 s (no connection); limit 1 min;")
    assert verdict.since == NOW - 75


def test_a_restart_keeps_the_verdict_until_the_first_step_or_the_end_of_the_budget() -> None:
    assert judge(view(memory=HAS_RUN, **RESTARTED), SETTINGS).condition == "unknown"
    assert judge(view(memory=HAS_RUN, **{**RESTARTED, "state": "generating"}), SETTINGS).condition == "unknown"
    assert judge(view(memory=HAS_RUN, **{**RESTARTED, "last_step": NOW - 2}), SETTINGS).condition == "inactive"
    late = {**RESTARTED, "started": NOW - 700, "phase_start": NOW - 690, "last_step": NOW - 800}
    verdict = judge(view(memory=HAS_RUN, **late), SETTINGS)
    assert verdict.condition == "active"
    assert verdict.summary == "No step since the trainer started 11 min 40 s ago; limit 10 min."
    assert verdict.since == NOW - 700


def test_the_first_start_of_all_is_judged_alike() -> None:
    late = {**RESTARTED, "started": NOW - 700, "phase_start": NOW - 690, "last_step": None}
    assert judge(view(**late), SETTINGS).condition == "active"


def test_a_page_left_by_the_process_before_is_not_taken_for_the_new_one() -> None:
    stale = {
        "started": NOW - 100,
        "phase_start": NOW - 5000,
        "state": "training",
        "last_step": NOW - 200,
        "stall_after": 30,
    }
    assert judge(view(memory=HAS_RUN, **stale), SETTINGS).condition == "unknown"
    assert (
        judge(view(memory=HAS_RUN, **{**stale, "started": NOW - 601, "last_step": NOW - 700}), SETTINGS).condition
        == "active"
    )


def test_a_peer_that_waits_for_the_swarm_after_its_start_is_up() -> None:
    assert judge(view(memory=HAS_RUN, **{**RESTARTED, "state": "waiting"}), SETTINGS).condition == "inactive"


def test_a_host_that_slept_gets_its_start_limit_again() -> None:
    late = {**RESTARTED, "started": NOW - 7000, "phase_start": NOW - 6990, "last_step": NOW - 8000}
    assert judge(view(memory=HAS_RUN, clock_stepped_at=NOW - 10, **late), SETTINGS).condition == "unknown"


def test_a_peer_that_has_not_started_yet_is_given_time() -> None:
    first = remember(view(up=0, started=None), SETTINGS)
    assert judge(view(up=0, memory=dict(first)), SETTINGS).condition == "unknown"
    assert judge(view(up=0, memory=dict(first), now=NOW + 601), SETTINGS).condition == "active"


def test_a_peer_that_has_run_before_is_given_no_time() -> None:
    memory = remember(view(), SETTINGS)
    memory = remember(view(up=0, memory=dict(memory)), SETTINGS)
    assert judge(view(up=0, memory=dict(memory)), SETTINGS).condition == "active"
