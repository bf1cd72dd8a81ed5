"""What holds after a hand-over from one watcher to the other."""

import pytest
from pydantic import ValidationError

from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState, Moment, Timing, step
from alerts.rules import Verdict
from alerts.standby.exchange import version_of
from alerts.standby.knowledge import (
    Knowledge,
    describe_knowledge,
    notified_after,
    take,
    without_resolved,
)

STALLED, SWAPPED, DISK = Key("PeerStalled", "a"), Key("MemoryExceeded", "b"), Key("DiskLow", "home")


def _state(**changes: object) -> AlertState:
    return AlertState(**{"phase": "firing", "severity": "warning", "since": 100.0, "summary": "it stalls", **changes})  # type: ignore[arg-type]


def _known(*keys: Key, subjects: tuple[str, ...] = ("a", "b")) -> Knowledge:
    states = AlertStates({key: _state() for key in keys})
    return describe_knowledge(states, {"mail": frozenset(keys)}, (), subjects)


def test_it_tells_what_was_sent_and_not_what_waits_to_be() -> None:
    states = AlertStates({STALLED: _state(), SWAPPED: _state()})
    told = describe_knowledge(states, {"mail": frozenset({STALLED})}, (), ("a", "b"))
    assert told.keys_of("mail") == {STALLED}
    assert [alert.key for alert in told.alerts] == [STALLED]


def test_a_resolution_that_was_not_sent_is_for_the_other_one_to_send() -> None:
    event = Event(STALLED, "resolved", 200.0, 100.0, "warning", "")
    told = describe_knowledge(AlertStates(), {"mail": frozenset({STALLED})}, [event], ("a",))
    states = take(AlertStates(), Knowledge(), told, (), lambda _: True)
    gone = step(states.states[STALLED], Verdict("inactive"), Moment(300.0, 1.0), Timing(0, 3600, 0, "warning"))
    assert gone == (None, "resolved")


def test_what_people_know_of_goes_on_from_there_although_it_is_pending_here() -> None:
    mine = AlertStates({STALLED: _state(phase="pending", since=150.0)})
    states = take(mine, Knowledge(), _known(STALLED), (), lambda _: True)
    assert states.states[STALLED].phase == "firing"
    assert states.states[STALLED].since == 100.0


def test_an_alert_that_nobody_watches_here_is_not_taken() -> None:
    assert not take(AlertStates(), Knowledge(), _known(STALLED), (), lambda key: key.peer != "a").states


def test_an_alert_that_ended_since_the_last_word_is_resolved_at_once() -> None:
    states = take(AlertStates(), Knowledge(), _known(STALLED), {STALLED}, lambda _: True)
    kind = step(states.states[STALLED], Verdict("inactive"), Moment(300.0, 1.0), Timing(0, 3600, 0, "warning"))[1]
    assert kind == "resolved"


def test_one_that_ended_and_began_again_is_told_again() -> None:
    assert notified_after(["mail"], Knowledge(), _known(STALLED), [STALLED]) == {"mail": frozenset()}


def test_of_what_both_watch_the_other_ones_word_counts_and_of_the_rest_the_own() -> None:
    mine = _known(STALLED, DISK, subjects=("a", "b", "home"))
    assert notified_after(["mail"], mine, _known(SWAPPED)) == {"mail": {SWAPPED, DISK}}
    assert notified_after(["mail"], mine, _known(SWAPPED), are_both=True) == {"mail": {SWAPPED, DISK, STALLED}}


def test_a_route_of_another_name_knows_what_any_of_the_others_does() -> None:
    assert notified_after(["chat"], Knowledge(), _known(STALLED)) == {"chat": {STALLED}}


def test_what_was_resolved_while_the_first_one_was_away_is_no_alert_of_its_own_any_more() -> None:
    before = AlertStates({STALLED: _state(), SWAPPED: _state(phase="pending"), DISK: _state()})
    assert without_resolved(before, _known()).states.keys() == {SWAPPED, DISK}


def test_the_version_changes_with_the_alerts_and_not_with_the_time() -> None:
    def version(**changes: object) -> str:
        states = AlertStates({STALLED: _state(**changes)})
        return version_of(describe_knowledge(states, {"mail": frozenset({STALLED})}, (), ("a",)))

    assert version() == version(fired_seconds=30.0, untold_seconds=30.0)
    assert version() != version(since=101.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"subjects": ["x" * 129]},
        {"notified": {"mail": [["a"]]}},
        {"alerts": [{"rule": "r", "peer": "p", "severity": "warning", "since": float("inf")}]},
        {"alerts": [{"rule": "r", "peer": "p", "severity": "dire", "since": 1}]},
        {"silences": [["*", "*", "*", 1.0]] * 1001},
        {"more": 1},
    ],
)
def test_what_is_no_knowledge_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Knowledge.model_validate(wrong)
