"""What a watcher has notified of, as two watchers tell each other; and what holds after a hand-over. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from alerts.delivery.silences import Silence
from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState
from alerts.rules import Severity
from alerts.settings import Settings

# Recovered long ago: the next check that finds the condition gone resolves the alert, whatever its rule waits for.
RECOVERED_SECONDS = 1e9

_Text = Annotated[str, StringConstraints(max_length=128)]
_Seconds = Annotated[float, Field(ge=0, le=RECOVERED_SECONDS, allow_inf_nan=False)]
# Up to the year 9999, the last one that can be shown.
_Time = Annotated[float, Field(ge=0, le=253_402_300_799, allow_inf_nan=False)]


class KnownAlert(Settings):
    """A firing alert that somebody was notified of."""

    rule: _Text
    peer: _Text
    severity: Severity
    since: _Time
    summary: Annotated[str, StringConstraints(max_length=4096)] = ""
    fired_seconds: _Seconds = 0.0
    untold_seconds: _Seconds = 0.0
    is_over: bool = Field(default=False, description="it is resolved, of which nobody was notified yet")

    @property
    def key(self) -> Key:
        return Key(self.rule, self.peer)

    def as_state(self, *, is_over: bool = False) -> AlertState:
        """The alert as the engine has it; one that is over is resolved by the next check that agrees."""
        return AlertState(
            "firing",
            self.severity,
            self.since,
            self.summary,
            cleared_seconds=RECOVERED_SECONDS if self.is_over or is_over else None,
            untold_seconds=self.untold_seconds,
            fired_seconds=self.fired_seconds,
        )


class Knowledge(Settings):
    """What a watcher has notified of: by route the alerts that its service accepted, and those alerts themselves.

    `subjects` are the peers and hosts that it watches: of these it speaks, of others it knows nothing.
    """

    subjects: list[_Text] = Field(default=[], max_length=20_000)
    notified: dict[_Text, Annotated[list[tuple[_Text, _Text]], Field(max_length=50_000)]] = Field(
        default={}, max_length=100
    )
    alerts: list[KnownAlert] = Field(default=[], max_length=50_000)
    silences: list[tuple[_Text, _Text, _Text, _Time]] = Field(default=[], max_length=1000)
    acknowledged: list[tuple[_Text, _Text]] = Field(default=[], max_length=50_000)

    def keys_of(self, route: str) -> frozenset[Key]:
        """What a route knows; one that this watcher does not have knows what any of its routes does."""
        lists = [self.notified[route]] if route in self.notified else self.notified.values()
        return frozenset(Key(*pair) for pairs in lists for pair in pairs)

    def make_silences(self) -> tuple[Silence, ...]:
        """The silences, without a number here."""
        return tuple(Silence(0, *one) for one in self.silences)


def describe_knowledge(
    states: AlertStates,
    delivered: Mapping[str, Collection[Key]],
    unsent: Iterable[Event],
    subjects: Iterable[str],
    silences: Iterable[Silence] = (),
    acknowledged: Iterable[Key] = (),
) -> Knowledge:
    """`delivered` is what each route was really sent, `unsent` the resolutions that were not."""
    told = frozenset(key for keys in delivered.values() for key in keys)
    firing = {key: state for key, state in states.firing().items() if key in told}
    alerts = [
        KnownAlert(
            rule=key.rule,
            peer=key.peer,
            severity=state.severity,
            since=max(0.0, state.since),
            summary=state.summary[:4096],
            fired_seconds=min(state.fired_seconds, RECOVERED_SECONDS),
            untold_seconds=min(state.untold_seconds, RECOVERED_SECONDS),
        )
        for key, state in sorted(firing.items())
    ]
    over = {event.key: event for event in unsent if event.key in told - firing.keys()}
    alerts += [
        KnownAlert(rule=key.rule, peer=key.peer, severity=event.severity, since=max(0.0, event.since), is_over=True)
        for key, event in sorted(over.items())
    ]
    return Knowledge(
        subjects=sorted(subjects),
        notified={route: [(key.rule, key.peer) for key in sorted(keys)] for route, keys in sorted(delivered.items())},
        alerts=alerts,
        silences=[(one.rule, one.peer, one.severity, one.ends_at) for one in silences],
        acknowledged=[(key.rule, key.peer) for key in sorted(acknowledged)],
    )


def take(
    states: AlertStates, mine: Knowledge, theirs: Knowledge, ended: Collection[Key], is_mine: Callable[[Key], bool]
) -> AlertStates:
    """The alert states of who takes over: its own, and the alerts that people know of and it does not have.

    Those go on from here, so that their end is told too. `ended` were resolved here since `theirs` was told;
    `is_mine` says whether an alert has a rule and a subject here.
    """
    taken = dict(states.states)
    for alert in (*theirs.alerts, *mine.alerts):
        known = taken.get(alert.key)
        if is_mine(alert.key) and (known is None or known.phase != "firing"):
            taken[alert.key] = alert.as_state(is_over=alert.key in ended)
    return AlertStates(taken, states.memories, states.due)


def without_resolved(states: AlertStates, theirs: Knowledge) -> AlertStates:
    """Without the firing alerts of their subjects that they do not have: people know of their end, or not of them.

    Whether one of these still holds is found out again.
    """
    subjects, known = frozenset(theirs.subjects), frozenset(alert.key for alert in theirs.alerts)
    kept = {
        key: state
        for key, state in states.states.items()
        if state.phase != "firing" or key.peer not in subjects or key in known
    }
    return AlertStates(kept, states.memories, states.due)


def notified_after(
    routes: Iterable[str], mine: Knowledge, theirs: Knowledge, again: Collection[Key] = (), *, are_both: bool = False
) -> dict[str, frozenset[Key]]:
    """What each route knows after a hand-over: of their subjects what they notified of, of others what we did.

    If `are_both` notified at the same time, it is all of it. `again` are alerts that ended and began anew meanwhile.
    """
    subjects = frozenset(theirs.subjects)
    return {
        route: frozenset(key for key in mine.keys_of(route) if are_both or key.peer not in subjects)
        | (theirs.keys_of(route) - frozenset(again))
        for route in routes
    }
