"""All rules over all peers, one round at a time."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.engine.evaluate import ActiveRule, AlertStates, Key, evaluate
from alerts.engine.state import Moment
from alerts.messages.single import Style, render
from alerts.rules import Rule, RuleSettings, Verdict, View, active, discover, inactive
from alerts.scraping.page import parse
from tests.alerts.conftest import sidecar_page


def _rule(verdict: Verdict | Exception) -> ActiveRule:
    def judge(_view: View, _settings: RuleSettings) -> Verdict:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    def remember(view: View, _settings: RuleSettings) -> dict[str, int]:
        return {"rounds": view.memory.get("rounds", 0) + 1}

    return ActiveRule("Test", Rule(RuleSettings, judge, "", "", remember=remember), RuleSettings())


def _round(rule: ActiveRule, before: AlertStates, *peers: str) -> tuple[AlertStates, list[tuple[str, str]]]:
    views = [View(peer, 1000.0) for peer in peers]
    after, events = evaluate(views, [rule], before, Moment(1000.0, 15.0), reminder_seconds=0)
    return after, [(event.kind, event.key.peer) for event in events]


def test_each_peer_has_an_alert_and_a_memory_of_its_own() -> None:
    after, events = _round(_rule(active("bad")), AlertStates(), "a", "b")
    assert events == [("firing", "a"), ("firing", "b")]
    after, events = _round(_rule(inactive()), after, "a", "b")
    assert events == [("resolved", "a"), ("resolved", "b")]
    assert after.memories == {Key("Test", "a"): {"rounds": 2}, Key("Test", "b"): {"rounds": 2}}


def test_the_alert_of_a_peer_that_is_no_longer_configured_ends_without_an_event() -> None:
    after, _ = _round(_rule(active("bad")), AlertStates(), "a", "b")
    after, events = _round(_rule(active("bad")), after, "b")
    assert events == []
    assert list(after.states) == [Key("Test", "b")]


@given(
    st.fixed_dictionaries(
        {
            name: st.none() | st.floats(allow_nan=False, allow_infinity=False)
            for name in ("started", "phase_start", "last_step", "stall_after", "footprint", "limit", "rank", "ranked")
        }
    ),
    st.sampled_from(["starting", "waiting", "training"]),
    st.sampled_from([0, 1]),
)
def test_no_number_on_a_page_breaks_a_rule_or_a_message(values: dict[str, float | None], state: str, up: int) -> None:
    rules = [ActiveRule(name, rule, rule.settings.model_validate({"for": "0s"})) for name, rule in discover().items()]
    alert_states = AlertStates()
    for now in (1e9, 1e9 + 60, 1e9 + 7200):
        page = parse(sidecar_page(now, **{**values, "state": state, "up": up}))
        for one in rules:  # not through `evaluate`, which catches errors
            memory = one.rule.remember(View("a", now, page), one.settings) if one.rule.remember else {}
            one.rule.judge(View("a", now, page, memory=memory), one.settings)
        alert_states, events = evaluate(
            [View("a", now, page)], rules, alert_states, Moment(now, 60), reminder_seconds=60
        )
        for event in events:
            assert render(event, Style("demo")).body


def test_a_rule_that_fails_on_what_it_remembers_starts_again(caplog: pytest.LogCaptureFixture) -> None:
    before = AlertStates({}, {Key("Test", "a"): {"rounds": "three"}})
    after, events = _round(_rule(active("bad")), before, "a")
    assert events == [("firing", "a")]
    assert after.memories == {Key("Test", "a"): {"rounds": 1}}
    assert "could not use what it remembers of a" in caplog.text
    assert not any(record.exc_info for record in caplog.records)


def test_a_rule_that_fails_keeps_its_alert_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    before, _ = _round(_rule(active("bad")), AlertStates(), "a")
    with caplog.at_level(logging.ERROR):
        after, events = _round(_rule(RuntimeError("oops")), before, "a")
    assert events == []
    assert after.states[Key("Test", "a")].phase == "firing"
    assert "rule Test failed for a" in caplog.text
