"""One evaluation of all rules for all peers and the host: states, rule memories and events. Pure."""

import contextlib
import logging
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from alerts.engine.deadlines import next_instant
from alerts.engine.state import AlertState, Kind, Moment, Timing, step
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Severity, Verdict, View

log = logging.getLogger(__name__)


class Key(NamedTuple):
    """Identifies an alert: its rule, and the name of the peer or host."""

    rule: str
    peer: str


class ActiveRule(NamedTuple):
    """A rule with its configured settings."""

    name: str
    rule: Rule
    settings: RuleSettings


@dataclass(frozen=True)
class Event:
    """An alert started firing, is still firing, or was resolved."""

    key: Key
    kind: Kind
    at: float
    since: float
    severity: Severity
    summary: str
    evidence: str = ""


@dataclass(frozen=True)
class AlertStates:
    """All pending and firing alerts, and the memories of the rules.

    `due` holds, for the peers that have one, the first epoch second at which time alone changes a verdict.
    """

    states: Mapping[Key, AlertState] = field(default_factory=dict)
    memories: Mapping[Key, Memory] = field(default_factory=dict)
    due: Mapping[str, float] = field(default_factory=dict)

    def firing(self) -> dict[Key, AlertState]:
        return {key: state for key, state in self.states.items() if state.phase == "firing"}

    def replaced(self, peers: Container[str], part: "AlertStates") -> "AlertStates":
        """These states with those of `peers` replaced by the ones in `part`."""
        states = {key: state for key, state in self.states.items() if key.peer not in peers}
        memories = {key: memory for key, memory in self.memories.items() if key.peer not in peers}
        due = {peer: instant for peer, instant in self.due.items() if peer not in peers}
        return AlertStates.merge([AlertStates(states, memories, due), part])

    @staticmethod
    def merge(parts: Iterable["AlertStates"]) -> "AlertStates":
        """The states of all parts, which hold different subjects."""
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
    """The alert states after this evaluation, and its events.

    An alert whose rule is disabled or whose peer is no longer configured is dropped without an event.
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
            latest = after or state
            if kind is not None and latest is not None:
                summary = verdict.summary or ("" if kind == "resolved" else latest.summary)
                events.append(Event(key, kind, moment.now, latest.since, latest.severity, summary))
    return AlertStates(states, memories, due), events


def _time(settings: RuleSettings, reminder_seconds: float) -> Timing:
    return Timing(settings.for_, settings.recover_after, reminder_seconds, settings.severity)


def _judge(one: ActiveRule, view: View, memory: Memory | None) -> tuple[Verdict, Memory | None]:
    try:
        return _try_judge(one, view, memory)
    except Exception:  # The guard: a rule that fails costs only its own verdict.
        if memory:
            # What it remembers, which was read from a file, may be what it fails on.
            with contextlib.suppress(Exception):
                answer = _try_judge(one, view, None)
                log.warning("rule %s could not use what it remembers of %s, and starts again", one.name, view.peer)
                return answer
        log.exception("rule %s failed for %s; its alert state is unchanged", one.name, view.peer)
        return UNKNOWN, memory


def _try_judge(one: ActiveRule, view: View, memory: Memory | None) -> tuple[Verdict, Memory | None]:
    if one.rule.remember is not None:
        memory = one.rule.remember(view._replace(memory=memory or {}), one.settings)
        view = view._replace(memory=memory)
    return one.rule.judge(view, one.settings), memory
