"""Who is to be told what: the news for each route, from the alerts that stand and what each route was told. Pure.

It looks at what stands, not only at what changed: an alert that was hidden and still fires is told as soon as nothing
hides it any more.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState
from alerts.rules import Severity

Notified = Mapping[str, frozenset[Key]]


class Audience(NamedTuple):
    """A route: the severities that it is told (empty: all), and how long an alert fires before it is told."""

    route: str
    severities: frozenset[Severity] = frozenset()
    after_seconds: float = 0.0


@dataclass(frozen=True)
class Decision:
    """The news for each route, and which firing alerts each route has then been told of."""

    news: tuple[tuple[str, Event], ...] = ()
    told: Notified = field(default_factory=dict)


def decide(
    alert_states: AlertStates,
    events: Iterable[Event],
    told: Notified,
    audiences: Iterable[Audience],
    *,
    now: float,
    is_hidden: Callable[[Key, AlertState], bool],
    acknowledged: Collection[Key],
    evidence: Mapping[Key, str],
) -> Decision:
    """The news of one evaluation. `events` are its events; a reminder of what is hidden or acknowledged is no news.

    Who is told late, as after a silence, is given the `evidence` of the beginning.
    """
    happened = {event.key: event for event in events}
    firing = {key: state for key, state in alert_states.states.items() if state.phase == "firing"}
    news: list[tuple[str, Event]] = []
    told_now: dict[str, frozenset[Key]] = {}
    for audience in audiences:
        before = told.get(audience.route, frozenset())
        for key in sorted(before - firing.keys()):
            if key in happened and happened[key].kind == "resolved":
                news.append((audience.route, happened[key]))
        kept = before & firing.keys()
        for key in sorted(kept):
            event = happened.get(key)
            if event and event.kind == "reminder" and key not in acknowledged and not is_hidden(key, firing[key]):
                news.append((audience.route, event))
        fresh = [
            key
            for key, state in firing.items()
            if key not in kept and _concerns(audience, key, state, acknowledged) and not is_hidden(key, state)
        ]
        for key in fresh:
            event = happened.get(key)
            if event is None or event.kind != "firing":
                event = _fires(key, firing[key], now, evidence.get(key, ""))
            news.append((audience.route, event))
        told_now[audience.route] = kept | frozenset(fresh)
    return Decision(tuple(news), told_now)


def _concerns(audience: Audience, key: Key, state: AlertState, acknowledged: Collection[Key]) -> bool:
    if state.cleared_seconds is not None or (audience.severities and state.severity not in audience.severities):
        return False
    if audience.after_seconds and key in acknowledged:
        return False
    return state.fired_seconds >= audience.after_seconds


def _fires(key: Key, state: AlertState, now: float, evidence: str) -> Event:
    return Event(key, "firing", now, state.since, state.severity, state.summary, evidence)
