"""PeerStalled: running, but without progress for longer than the peer's own pace allows."""

import pytest

from alerts.rules import View
from alerts.rules.peer_stalled import RULE, Settings, judge, remember
from alerts.scraping.page import Page, parse
from tests.alerts.conftest import sidecar_page
from tests.alerts.rules.pages import NOW, silent, view

SETTINGS = Settings()
LATE = {"last_step": NOW - 100, "phase_start": NOW - 150}


def test_silence_beyond_the_peers_own_budget_is_a_stall() -> None:
    verdict = judge(view(**LATE), SETTINGS)
    assert verdict.condition == "active"
    assert verdict.summary == ("No progress for 1 min 40 s while training; limit 30 s. Last step: 12, 1 min 40 s ago.")
    assert verdict.since == NOW - 100


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"stall_after": 3600, **LATE},  # a slow peer
        {**LATE, "phase_start": NOW - 5},  # a phase that has just begun is progress
        {"last_step": None, "phase_start": NOW - 5},
        {**LATE, "up": 0},  # a peer that is down is not stalled
        {**LATE, "started": NOW - 20},  # the page of the process before
        {"state": "starting", "started": NOW - 700, "phase_start": NOW - 690, "last_step": None},  # a late start
        {"state": "starting", **LATE},  # another training in the same process
        {"state": "stopped", **LATE},  # a finished notebook, told by an old telemetry that has a limit for it
        {"state": "stopped", "stall_after": None, **LATE},
        {"last_step": NOW + 500, "phase_start": NOW - 5},  # a clock that was put back
    ],
)
def test_this_is_no_stall(changes: dict[str, float]) -> None:
    assert judge(view(**changes), SETTINGS).condition == "inactive"


def test_waiting_longer_than_its_budget_is_a_stall_even_before_the_first_step() -> None:
    waiting = {
        "state": "waiting",
        "started": NOW - 2000,
        "phase_start": NOW - 1900,
        "last_step": None,
        "stall_after": 1800,
    }
    assert judge(view(**waiting), SETTINGS).condition == "active"


@pytest.mark.parametrize("missing", ["up", "stall_after", "phase_start"])
def test_what_is_not_measured_gives_no_verdict(missing: str) -> None:
    assert judge(view(**{**LATE, missing: None}), SETTINGS).condition == "unknown"
    assert judge(silent(999), SETTINGS).condition == "unknown"


def test_a_host_that_slept_or_a_clock_that_was_set_is_no_stall() -> None:
    assert judge(view(**LATE, clock_stepped_at=NOW - 10), SETTINGS).condition == "inactive"
    assert judge(view(**LATE, clock_stepped_at=NOW - 31), SETTINGS).condition == "active"


def _view_of(silence: float, cpu: float, memory: dict[str, float]) -> View:
    """A view of a peer that made its last step `silence` seconds ago and has used so much CPU time since."""
    page = sidecar_page(NOW, last_step=NOW, phase_start=NOW - 500)
    page: Page = parse(f"{page}trainer_cpu_seconds_total {cpu}\n")
    seen = View("a", NOW + silence, page, memory=memory)
    return seen._replace(memory=remember(seen, SETTINGS))


@pytest.mark.parametrize(
    ("cpu", "words"),
    [
        (100.1, "CPU idle: 0.1 s used in 15 s."),
        (114.0, "CPU busy: 14.0 s used in 15 s."),
    ],
)
def test_a_stall_says_whether_the_cpu_is_idle_or_busy(cpu: float, words: str) -> None:
    half = _view_of(20, 100, {})
    verdict = judge(_view_of(35, cpu, dict(half.memory)), SETTINGS)
    assert verdict.condition == "active"
    assert verdict.summary.endswith(words)


def _active(silence: float, state: str, *, limit: float = 100.0, cores: float = 0.01, **changes: float) -> View:
    """A view of a peer that is silent, with what its sidecar has learnt of it."""
    page = sidecar_page(NOW, last_step=NOW - silence, phase_start=NOW - 500, **changes) + (
        f"trainer_activity_stall_after_seconds {limit}\ntrainer_activity_cores {cores}\n"
        f'trainer_activity_usual_cores 3.9\ntrainer_activity_state{{trainer_activity_state="{state}"}} 1\n'
        "trainer_stall_at_rest_after_seconds 20\n"
    )
    return View("a", NOW, parse(page))


@pytest.mark.parametrize(
    ("state", "cores", "words"),
    [
        ("rest", 0.01, "CPU idle: 0.01 cores in use, usually 3.90."),
        ("spinning", 1.0, "CPU spinning in one thread: 1.00 cores in use, usually 3.90."),
        ("usual", 3.5, "CPU as busy as usual: 3.50 cores in use, usually 3.90."),
    ],
)
def test_a_stall_says_what_the_trainer_does_instead(state: str, cores: float, words: str) -> None:
    verdict = judge(_active(101, state, cores=cores), SETTINGS)
    assert verdict.condition == "active"
    assert verdict.summary.startswith("No progress for 1 min 41 s while training; limit 1 min 40 s.")
    assert verdict.summary.endswith(words)


def test_the_limit_is_the_sidecars_where_it_knows_what_the_trainer_does() -> None:
    assert judge(_active(99, "usual"), SETTINGS).condition == "inactive"
    assert judge(_active(21, "rest", limit=20.0), SETTINGS).condition == "active"


@pytest.mark.parametrize(("silence", "next_check"), [(5, 20), (25, 30), (35, 100)])
def test_it_is_judged_again_when_another_activity_would_make_it_a_stall(silence: float, next_check: float) -> None:
    assert judge(_active(silence, "usual"), SETTINGS).until == NOW - silence + next_check


@pytest.mark.parametrize(("fact", "is_advised"), [("1", True), ("0", False), (None, False)])
def test_the_signal_is_advised_only_where_it_would_not_end_the_trainer(fact: str | None, is_advised: bool) -> None:
    page = sidecar_page(NOW, last_step=NOW - 100, phase_start=NOW - 150)
    page += "" if fact is None else f"trainer_stacks_on_signal {fact}\n"
    verdict = judge(View("a", NOW, parse(page)), SETTINGS)
    assert verdict.condition == "active"
    assert verdict.summary.endswith("On SIGUSR1 it writes its stacks to stacks.log.") == is_advised
    assert "SIGUSR1" not in RULE.remedy


def test_a_peer_that_steps_again_leaves_no_memory() -> None:
    half = _view_of(20, 100, {})
    later = view(now=NOW + 60)._replace(memory=half.memory)
    assert remember(later, SETTINGS) == {}
