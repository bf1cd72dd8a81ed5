"""All rules over all peers, one round at a time."""

import logging

import pytest

from alerts.evaluate import ActiveRule, Key, Standing, evaluate
from alerts.rules import Rule, RuleSettings, Verdict, View, active, inactive
from alerts.state import Moment


def _rule(verdict: Verdict | Exception) -> ActiveRule:
    def judge(_view: View, _settings: RuleSettings) -> Verdict:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    def remember(view: View, _settings: RuleSettings) -> dict[str, int]:
        return {"rounds": view.memory.get("rounds", 0) + 1}

    return ActiveRule("Test", Rule(RuleSettings, judge, "", "", remember), RuleSettings())


def _round(rule: ActiveRule, before: Standing, *peers: str) -> tuple[Standing, list[tuple[str, str]]]:
    views = [View(peer, 1000.0) for peer in peers]
    after, events = evaluate(views, [rule], before, Moment(1000.0, 15.0), reminder_seconds=0)
    return after, [(event.kind, event.key.peer) for event in events]


def test_each_peer_has_an_alert_and_a_memory_of_its_own() -> None:
    after, told = _round(_rule(active("bad")), Standing(), "a", "b")
    assert told == [("firing", "a"), ("firing", "b")]
    after, told = _round(_rule(inactive()), after, "a", "b")
    assert told == [("resolved", "a"), ("resolved", "b")]
    assert after.memories == {Key("Test", "a"): {"rounds": 2}, Key("Test", "b"): {"rounds": 2}}


def test_the_alert_of_a_peer_that_is_no_longer_configured_ends_without_a_word() -> None:
    after, _ = _round(_rule(active("bad")), Standing(), "a", "b")
    after, told = _round(_rule(active("bad")), after, "b")
    assert told == []
    assert list(after.states) == [Key("Test", "b")]


def test_a_rule_that_fails_keeps_its_alert_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    before, _ = _round(_rule(active("bad")), Standing(), "a")
    with caplog.at_level(logging.ERROR):
        after, told = _round(_rule(RuntimeError("oops")), before, "a")
    assert told == []
    assert after.states[Key("Test", "a")].phase == "firing"
    assert "rule Test failed on peer a" in caplog.text
