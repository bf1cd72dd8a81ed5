"""Who is told what, evaluation by evaluation."""

from collections.abc import Collection

from alerts.delivery.routing import Audience, Decision, Notified, decide
from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState, Kind
from alerts.rules import Severity

KEY = Key("PeerDown", "a")
NOW, LATER = Audience("hook"), Audience("boss", after_seconds=1800)


def _decide(
    fired_seconds: float | None,
    told: Notified,
    *,
    audiences: tuple[Audience, ...] = (NOW,),
    kind: Kind | None = None,
    hidden: bool = False,
    acknowledged: Collection[Key] = (),
    severity: Severity = "critical",
    cleared: float | None = None,
) -> Decision:
    """One evaluation of an alert that fires since so many seconds (None: at rest), with its event of this round."""
    states = {}
    if fired_seconds is not None:
        states[KEY] = AlertState("firing", severity, 5, "gone", cleared_seconds=cleared, fired_seconds=fired_seconds)
    events = [Event(KEY, kind, 100, 5, severity, "")] if kind else []
    return decide(
        AlertStates(states),
        events,
        told,
        audiences,
        now=100,
        is_hidden=lambda _key, _state: hidden,
        acknowledged=acknowledged,
        evidence={KEY: "| it hangs"},
    )


def _kinds(decision: Decision) -> list[tuple[str, str]]:
    return [(route, event.kind) for route, event in decision.news]


def test_an_alert_and_its_end_are_told_once_each() -> None:
    first = _decide(0, {}, kind="firing")
    assert _kinds(first) == [("hook", "firing")]
    assert _kinds(_decide(10, first.told)) == []
    last = _decide(None, first.told, kind="resolved")
    assert _kinds(last) == [("hook", "resolved")]
    assert _kinds(_decide(None, last.told)) == []


def test_a_hidden_alert_is_told_once_nothing_hides_it_any_more() -> None:
    hidden = _decide(0, {}, kind="firing", hidden=True)
    assert hidden.news == ()
    assert _kinds(_decide(10, hidden.told)) == [("hook", "firing")]


def test_a_hidden_alert_that_ends_was_never_told_and_nor_is_its_end() -> None:
    hidden = _decide(0, {}, kind="firing", hidden=True)
    assert _decide(None, hidden.told, kind="resolved").news == ()


def test_the_end_of_what_was_told_is_told_even_while_it_is_hidden() -> None:
    assert _kinds(_decide(None, {"hook": frozenset({KEY})}, kind="resolved", hidden=True)) == [("hook", "resolved")]


def test_an_alert_that_is_about_to_recover_is_not_told_anew() -> None:
    assert _decide(10, {}, cleared=3).news == ()


def test_a_reminder_reaches_who_was_told_unless_it_is_acknowledged_or_hidden() -> None:
    told = {"hook": frozenset({KEY})}
    assert _kinds(_decide(10, told, kind="reminder", audiences=(NOW, LATER))) == [("hook", "reminder")]
    assert _decide(10, told, kind="reminder", acknowledged={KEY}).news == ()
    assert _decide(10, told, kind="reminder", hidden=True).news == ()


def test_it_is_escalated_after_its_time_unless_somebody_acknowledged_it() -> None:
    assert _decide(1799, {}, audiences=(LATER,)).news == ()
    assert _kinds(_decide(1800, {}, audiences=(LATER,))) == [("boss", "firing")]
    assert _decide(9999, {}, audiences=(LATER,), acknowledged={KEY}).news == ()


def test_an_acknowledged_alert_still_tells_its_end_to_all_who_know() -> None:
    told = {"hook": frozenset({KEY}), "boss": frozenset({KEY})}
    decision = _decide(None, told, kind="resolved", audiences=(NOW, LATER), acknowledged={KEY})
    assert _kinds(decision) == [("hook", "resolved"), ("boss", "resolved")]


def test_a_route_hears_only_of_its_severities() -> None:
    pager = (Audience("pager", frozenset({"critical"})),)
    assert _decide(0, {}, audiences=pager, severity="warning").news == ()
    assert _kinds(_decide(0, {}, audiences=pager)) == [("pager", "firing")]


def test_what_is_no_longer_watched_ends_without_a_word() -> None:
    decision = _decide(None, {"hook": frozenset({KEY})})
    assert (decision.news, decision.told["hook"]) == ((), frozenset())
