"""One evaluation of all rules over all peers and the host: states, rule memories and what there is to tell. Pure."""

import logging
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from alerts.engine.deadlines import next_instant
from alerts.engine.state import AlertState, Kind, Moment, Timing, step
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Severity, Verdict, View

log = logging.getLogger(__name__)


class Key(NamedTuple):
    """Which alert: a rule about a peer, or about the host by its name."""

    rule: str
    peer: str


class ActiveRule(NamedTuple):
    """A rule with the settings that its user gave it."""

    name: str
    rule: Rule
    settings: RuleSettings


@dataclass(frozen=True)
class Event:
    """Something to tell: an alert fires, fires still, or is resolved."""

    key: Key
    kind: Kind
    at: float
    since: float
    severity: Severity
    summary: str
    evidence: str = ""


@dataclass(frozen=True)
class AlertStates:
    """All alerts that are not at rest and what the rules remember.

    `due` holds, for the peers that have one, the first epoch second at which time alone changes what is known of them.
    """

    states: Mapping[Key, AlertState] = field(default_factory=dict)
    memories: Mapping[Key, Memory] = field(default_factory=dict)
    due: Mapping[str, float] = field(default_factory=dict)

    def firing(self) -> dict[Key, AlertState]:
        return {key: state for key, state in self.states.items() if state.phase == "firing"}

    def replaced(self, peers: Container[str], part: "AlertStates") -> "AlertStates":
        """This alert_states with all of `peers` as `part` has it."""
        states = {key: state for key, state in self.states.items() if key.peer not in peers}
        memories = {key: memory for key, memory in self.memories.items() if key.peer not in peers}
        due = {peer: instant for peer, instant in self.due.items() if peer not in peers}
        return AlertStates.merge([AlertStates(states, memories, due), part])

    @staticmethod
    def merge(parts: Iterable["AlertStates"]) -> "AlertStates":
        """One alert_states of the parts, which hold different subjects."""
        states: dict[Key, AlertState] = {}
        memories: dict[Key, Memory] = {}
        due: dict[str, float] = {}
        for part in parts:
            states.update(part.states)
            memories.update(part.memories)
            due.update(part.due)
        return AlertStates(states, memories, due)


def evaluate(
    views: Iterable[View], rules: Iterable[ActiveRule], before: AlertStates, moment: Moment, *, reminder_seconds: float
) -> tuple[AlertStates, list[Event]]:
    """The alert_states after this evaluation, and its events.

    An alert whose rule is switched off or whose peer is no longer configured is dropped without a word.
    """
    states: dict[Key, AlertState] = {}
    memories: dict[Key, Memory] = {}
    events: list[Event] = []
    due: dict[str, float] = {}
    timed = [(one, _time(one.settings, reminder_seconds)) for one in rules]
    for view in views:
        for one, timing in timed:
            if one.rule.scope != view.scope:
                continue
            key = Key(one.name, view.peer)
            verdict, memory = _judge(one, view, before.memories.get(key))
            if memory:
                memories[key] = memory
            state = before.states.get(key)
            after, kind = step(state, verdict, moment, timing)
            if after is not None:
                states[key] = after
            instant = next_instant(verdict, after, moment.now, timing)
            if instant is not None and view.scope == "peer":
                due[view.peer] = min(instant, due.get(view.peer, instant))
            told = after or state
            if kind is not None and told is not None:
                summary = verdict.summary or ("" if kind == "resolved" else told.summary)
                events.append(Event(key, kind, moment.now, told.since, told.severity, summary))
    return AlertStates(states, memories, due), events


def _time(settings: RuleSettings, reminder_seconds: float) -> Timing:
    return Timing(settings.for_, settings.recover_after, reminder_seconds, settings.severity)


def _judge(one: ActiveRule, view: View, memory: Memory | None) -> tuple[Verdict, Memory | None]:
    try:
        if one.rule.remember is not None:
            memory = one.rule.remember(view._replace(memory=memory or {}), one.settings)
            view = view._replace(memory=memory)
        return one.rule.judge(view, one.settings), memory
    except Exception:  # The fence: a rule that fails costs only its own verdict.
        log.exception("rule %s failed on peer %s; its alert stays as it was", one.name, view.peer)
        return UNKNOWN, memory
