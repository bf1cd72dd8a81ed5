"""The state machine, with hours passing in microseconds."""

from alerts.engine.state import AlertState, Kind, Moment, Timing, step
from alerts.rules import UNKNOWN, Verdict, active, inactive

TIMING = Timing(for_seconds=30, recover_seconds=20, reminder_seconds=3600, severity="critical")
ACTIVE, INACTIVE = active("bad"), inactive("good")


def _run(
    verdicts: list[Verdict], *, timing: Timing = TIMING, state: AlertState | None = None, every: float = 10.0
) -> tuple[AlertState | None, list[tuple[int, Kind]]]:
    """Steps through the verdicts; the last state, and the events by step."""
    events = []
    for index, verdict in enumerate(verdicts):
        state, kind = step(state, verdict, Moment(1000 + index * every, every), timing)
        if kind is not None:
            events.append((index, kind))
    return state, events


def test_a_condition_fires_once_it_has_held_long_enough() -> None:
    state, events = _run([ACTIVE] * 6)
    assert events == [(3, "firing")]
    assert state is not None
    assert (state.phase, state.since, state.summary) == ("firing", 1000, "bad")


def test_without_a_duration_it_fires_at_once() -> None:
    assert _run([ACTIVE], timing=TIMING._replace(for_seconds=0))[1] == [(0, "firing")]


def test_an_interruption_restarts_the_duration() -> None:
    assert _run([ACTIVE, ACTIVE, ACTIVE, INACTIVE, ACTIVE, ACTIVE, ACTIVE])[1] == []


def test_an_unknown_verdict_neither_counts_nor_interrupts() -> None:
    assert _run([ACTIVE, ACTIVE, UNKNOWN, UNKNOWN, ACTIVE, ACTIVE])[1] == [(5, "firing")]
    assert _run([UNKNOWN] * 9) == (None, [])


def test_an_alert_is_resolved_once_the_condition_has_been_gone_long_enough() -> None:
    state, events = _run([ACTIVE] * 4 + [INACTIVE] * 5)
    assert events == [(3, "firing"), (6, "resolved")]
    assert state is None


def test_a_condition_that_comes_back_during_the_recovery_stays_one_alert() -> None:
    flapping = [ACTIVE] * 4 + [INACTIVE, INACTIVE, ACTIVE, INACTIVE, UNKNOWN, ACTIVE] * 5
    assert _run(flapping)[1] == [(3, "firing")]


def test_a_firing_alert_is_repeated_when_the_reminder_is_due() -> None:
    _, events = _run([ACTIVE, UNKNOWN] * 400, timing=TIMING._replace(for_seconds=0))
    assert events == [(0, "firing"), (360, "reminder"), (720, "reminder")]


def test_a_reminder_of_zero_means_never() -> None:
    assert _run([ACTIVE] * 2000, timing=TIMING._replace(for_seconds=0, reminder_seconds=0))[1] == [(0, "firing")]


def test_an_alert_that_is_recovering_is_not_repeated() -> None:
    timing = TIMING._replace(for_seconds=0, recover_seconds=10**6, reminder_seconds=50)
    assert _run([ACTIVE] + [INACTIVE] * 50, timing=timing)[1] == [(0, "firing")]


def test_a_clock_that_is_set_does_not_make_durations_pass() -> None:
    state, _ = step(None, ACTIVE, Moment(1000, 10), TIMING)
    state, kind = step(state, ACTIVE, Moment(90_000, 10), TIMING)
    assert kind is None
    state, kind = step(state, ACTIVE, Moment(-5, 20), TIMING)
    assert kind == "firing"


def test_since_is_when_the_page_says_that_it_began_but_never_in_the_future() -> None:
    state, _ = step(None, active("x", since=700), Moment(1000, 0), TIMING)
    assert state is not None
    assert state.since == 700
    state, _ = step(None, active("x", since=2000), Moment(1000, 0), TIMING)
    assert state is not None
    assert state.since == 1000


def test_a_firing_alert_shows_the_latest_summary_and_severity() -> None:
    state, _ = _run([active("first"), active("second")], timing=TIMING._replace(for_seconds=0, severity="info"))
    assert state is not None
    assert (state.summary, state.severity) == ("second", "info")


def test_an_alert_that_becomes_worse_is_told_again_at_once() -> None:
    warning, worse = TIMING._replace(for_seconds=0, severity="warning"), active("worse", severity="critical")
    state, events = _run([ACTIVE, ACTIVE, worse, worse, ACTIVE, ACTIVE], timing=warning)
    assert events == [(0, "firing"), (2, "reminder")]
    assert state is not None
    assert state.severity == "warning"


def test_an_alert_may_begin_with_a_severity_of_its_own() -> None:
    state, events = _run([active("bad", severity="info")], timing=TIMING._replace(for_seconds=0))
    assert events == [(0, "firing")]
    assert state is not None
    assert state.severity == "info"
