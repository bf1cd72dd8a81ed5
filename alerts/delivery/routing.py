"""Which route is notified of what after an evaluation. Pure.

It compares all firing alerts with what each route has been notified of, not only what changed: an alert that was hidden
and still fires is sent as soon as nothing hides it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState
from alerts.rules import Severity

# A consequence takes a while to recover after its cause; the route is notified of it only if it does not.
CONSEQUENCE_SECONDS = 120.0

Notified = Mapping[str, frozenset[Key]]


class RouteFilter(NamedTuple):
    """Which alerts a route is notified of: those of its severities (empty: all) that fire for long enough."""

    route: str
    severities: frozenset[Severity] = frozenset()
    after_seconds: float = 0.0


class RoutedEvent(NamedTuple):
    """An event for one route. `held`: the route's quiet hours keep it back."""

    route: str
    event: Event
    held: bool = False


@dataclass(frozen=True)
class DeliveryState:
    """What delivery remembers from one evaluation to the next.

    `notified` holds the firing alerts that each route knows of, `evidence` what was found when an alert began,
    `inhibited` the alerts that another one hid, and `settling` until when alerts whose cause is gone stay hidden, in
    steady seconds.
    """

    notified: Notified = field(default_factory=dict)
    evidence: Mapping[Key, str] = field(default_factory=dict)
    inhibited: frozenset[Key] = frozenset()
    settling: Mapping[Key, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """The news of an evaluation, what is remembered after it, and the acknowledgements that ended with their alerts."""

    news: tuple[RoutedEvent, ...] = ()
    state: DeliveryState = DeliveryState()
    ended_acknowledgements: frozenset[Key] = frozenset()


def decide(
    alert_states: AlertStates,
    events: Iterable[Event],
    before: DeliveryState,
    filters: Iterable[RouteFilter],
    *,
    now: float,
    steady_now: float,
    inhibited: Collection[Key] = (),
    hidden: Collection[Key] = (),
    acknowledged: Collection[Key] = (),
    is_held: Callable[[str, Event], bool] = lambda _route, _event: False,
) -> Decision:
    """The decision on one evaluation and its `events`. Reminders of hidden or acknowledged alerts are left out.

    `inhibited` alerts are hidden too, and stay so for a while after their cause. A route that is notified late, as
    after a silence, gets the evidence of the alert's beginning. `now` is the wall clock's, `steady_now` measures
    durations.
    """
    states = alert_states.states
    settling = _find_settling(before, frozenset(inhibited), states.keys(), steady_now)
    happened = {event.key: event for event in events}
    found = {key: event.evidence for key, event in happened.items() if event.evidence}
    evidence = {key: text for key, text in {**before.evidence, **found}.items() if key in states}
    firing = alert_states.firing()
    unseen = {*inhibited, *settling, *hidden}
    visible = {key: state for key, state in firing.items() if key not in unseen}
    news: list[RoutedEvent] = []
    notified: dict[str, frozenset[Key]] = {}
    for one in filters:
        known = before.notified.get(one.route, frozenset())
        kept = known & firing.keys()
        fresh = [
            key
            for key, state in visible.items()
            if key not in kept and _matches(one, state, is_acknowledged=key in acknowledged)
        ]
        resolved = [happened[key] for key in sorted(known - kept) if _has_kind(happened.get(key), "resolved")]
        reminders = [
            happened[key]
            for key in sorted(kept & visible.keys())
            if key not in acknowledged and _has_kind(happened.get(key), "reminder")
        ]
        begun = [
            happened[key]
            if _has_kind(happened.get(key), "firing")
            else _describe_firing(key, firing[key], now, evidence.get(key, ""))
            for key in fresh
        ]
        news += [RoutedEvent(one.route, event, is_held(one.route, event)) for event in (*resolved, *reminders, *begun)]
        notified[one.route] = kept | frozenset(fresh)
    state = DeliveryState(notified, evidence, frozenset(inhibited), settling)
    return Decision(tuple(news), state, frozenset(acknowledged) - states.keys())


def _find_settling(
    before: DeliveryState, inhibited: frozenset[Key], known: Collection[Key], now: float
) -> dict[Key, float]:
    """The alerts whose cause has just gone, and that may be about to recover too."""
    settling = {**before.settling, **dict.fromkeys(before.inhibited - inhibited, now + CONSEQUENCE_SECONDS)}
    return {key: until for key, until in settling.items() if now < until and key in known}


def _matches(one: RouteFilter, state: AlertState, *, is_acknowledged: bool) -> bool:
    if state.cleared_seconds is not None or (one.severities and state.severity not in one.severities):
        return False
    if one.after_seconds and is_acknowledged:
        return False
    return state.fired_seconds >= one.after_seconds


def _has_kind(event: Event | None, kind: str) -> bool:
    return event is not None and event.kind == kind


def _describe_firing(key: Key, state: AlertState, now: float, evidence: str) -> Event:
    return Event(key, "firing", now, state.since, state.severity, state.summary, evidence)
