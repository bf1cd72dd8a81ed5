"""Which route is notified of what, evaluation by evaluation."""

from collections.abc import Collection

from alerts.delivery.routing import CONSEQUENCE_SECONDS, Decision, DeliveryState, RouteFilter, decide
from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState, Kind
from alerts.rules import Severity

KEY = Key("PeerDown", "a")
NOW, LATER = RouteFilter("hook"), RouteFilter("boss", after_seconds=1800)
UNKNOWN = DeliveryState()


def _known(*routes: str) -> DeliveryState:
    """These routes have been notified of the alert."""
    return DeliveryState(dict.fromkeys(routes, frozenset({KEY})))


def _decide(
    fired_seconds: float | None,
    before: DeliveryState,
    *,
    filters: tuple[RouteFilter, ...] = (NOW,),
    kind: Kind | None = None,
    hidden: bool = False,
    inhibited: bool = False,
    acknowledged: Collection[Key] = (),
    severity: Severity = "critical",
    cleared: float | None = None,
    evidence: str = "",
    now: float = 100,
) -> Decision:
    """An evaluation of an alert that has fired for so many seconds (None: it does not exist), with its event."""
    states = {}
    if fired_seconds is not None:
        states[KEY] = AlertState("firing", severity, 5, "gone", cleared_seconds=cleared, fired_seconds=fired_seconds)
    events = [Event(KEY, kind, now, 5, severity, "", evidence)] if kind else []
    return decide(
        AlertStates(states),
        events,
        before,
        filters,
        now=now,
        steady_now=now,
        inhibited={KEY} if inhibited else (),
        hidden={KEY} if hidden else (),
        acknowledged=acknowledged,
    )


def _kinds(decision: Decision) -> list[tuple[str, str]]:
    return [(one.route, one.event.kind) for one in decision.news]


def test_an_alert_and_its_resolution_are_sent_once_each() -> None:
    first = _decide(0, UNKNOWN, kind="firing")
    assert _kinds(first) == [("hook", "firing")]
    assert _kinds(_decide(10, first.state)) == []
    last = _decide(None, first.state, kind="resolved")
    assert _kinds(last) == [("hook", "resolved")]
    assert _kinds(_decide(None, last.state)) == []


def test_a_suppressed_alert_is_sent_once_nothing_suppresses_it() -> None:
    hidden = _decide(0, UNKNOWN, kind="firing", hidden=True, evidence="| it hangs")
    assert hidden.news == ()
    later = _decide(10, hidden.state)
    assert _kinds(later) == [("hook", "firing")]
    assert later.news[0].event.evidence == "| it hangs"


def test_neither_a_suppressed_alert_nor_its_resolution_is_sent() -> None:
    hidden = _decide(0, UNKNOWN, kind="firing", hidden=True)
    assert _decide(None, hidden.state, kind="resolved").news == ()


def test_a_consequence_stays_suppressed_for_a_while_after_its_cause_and_decisions_can_be_repeated() -> None:
    inhibited = _decide(0, UNKNOWN, kind="firing", inhibited=True)
    for _ in range(2):
        settling = _decide(10, inhibited.state, now=110)
        assert settling.news == ()
    assert _decide(20, settling.state, now=109 + CONSEQUENCE_SECONDS).news == ()
    assert _kinds(_decide(20, settling.state, now=110 + CONSEQUENCE_SECONDS)) == [("hook", "firing")]


def test_the_resolution_of_a_notified_alert_is_sent_even_while_it_is_suppressed() -> None:
    assert _kinds(_decide(None, _known("hook"), kind="resolved", hidden=True)) == [("hook", "resolved")]


def test_an_alert_that_is_about_to_recover_is_not_sent_again() -> None:
    assert _decide(10, UNKNOWN, cleared=3).news == ()


def test_a_reminder_goes_to_notified_routes_unless_the_alert_is_acknowledged_or_suppressed() -> None:
    known = _known("hook")
    assert _kinds(_decide(10, known, kind="reminder", filters=(NOW, LATER))) == [("hook", "reminder")]
    assert _decide(10, known, kind="reminder", acknowledged={KEY}).news == ()
    assert _decide(10, known, kind="reminder", hidden=True).news == ()


def test_an_alert_is_escalated_after_its_time_unless_it_is_acknowledged() -> None:
    assert _decide(1799, UNKNOWN, filters=(LATER,)).news == ()
    assert _kinds(_decide(1800, UNKNOWN, filters=(LATER,))) == [("boss", "firing")]
    assert _decide(9999, UNKNOWN, filters=(LATER,), acknowledged={KEY}).news == ()


def test_the_resolution_of_an_acknowledged_alert_is_sent_to_all_notified_routes_and_ends_the_acknowledgement() -> None:
    decision = _decide(None, _known("hook", "boss"), kind="resolved", filters=(NOW, LATER), acknowledged={KEY})
    assert _kinds(decision) == [("hook", "resolved"), ("boss", "resolved")]
    assert decision.ended_acknowledgements == {KEY}


def test_a_route_gets_only_its_severities() -> None:
    pager = (RouteFilter("pager", frozenset({"critical"})),)
    assert _decide(0, UNKNOWN, filters=pager, severity="warning").news == ()
    assert _kinds(_decide(0, UNKNOWN, filters=pager)) == [("pager", "firing")]


def test_the_alert_of_a_removed_peer_ends_without_a_notification() -> None:
    decision = _decide(None, _known("hook"))
    assert (decision.news, decision.state.notified["hook"]) == ((), frozenset())
