"""Routes the events of each evaluation: hidden alerts are left out, related ones are grouped into one message."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from alerts.delivery.grouping import STORM_INTERVALS, group
from alerts.delivery.outbox import Outbox
from alerts.delivery.queue import Queue
from alerts.delivery.quiet_hours import latest_occurrence
from alerts.delivery.route_style import RouteStyles
from alerts.delivery.routing import Decision, Notified, RouteFilter, decide
from alerts.delivery.settings import DeliverySettings, Route
from alerts.delivery.silence_store import SilenceStore
from alerts.delivery.silences import Silence, is_silenced
from alerts.delivery.suppression import Suppression, describe_alerts
from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.inhibition import find_inhibited
from alerts.engine.status import Status
from alerts.i18n.zones import find_zone
from alerts.messages.digest import compose_digest
from alerts.messages.single import Message
from alerts.rules import discover, is_problem

MAX_SLEEP_SECONDS = 30.0
RETRY_SECONDS = 5.0
# A digest that is later than this because the loop did not run is skipped until the next day.
DIGEST_GRACE_SECONDS = 6 * 3600.0
_DIGEST = "digest"

log = logging.getLogger(__name__)


class Dispatcher:
    """Queues the news of each evaluation, and makes notifications of it once they are due.

    An evaluation goes through `decide`, `write` within its transaction, and `accept` after the commit. `clock` is
    steady epoch seconds; silences, quiet hours and the digest follow the wall clock.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        queue: Queue,
        silence_store: SilenceStore,
        styles: RouteStyles,
        outbox: Outbox,
        clock: Callable[[], float],
        is_on: Callable[[str, str], bool] = lambda _peer, _host: True,
    ) -> None:
        """`is_on` says whether a peer is on a host."""
        self._settings = settings
        self._is_on = is_on
        self._queue = queue
        self._silence_store = silence_store
        self._styles = styles
        self._outbox = outbox
        self._clock = clock
        # A watchdog route gets the Watchdog and nothing else, and no other route gets the Watchdog.
        routes = [route for route in settings.routes if not route.watchdog]
        self._filters = [RouteFilter(one.name, frozenset(one.severities), one.after) for one in routes]
        self._digest_routes = [route.name for route in routes if not route.after]
        self._routes = {route.name: route for route in settings.routes}
        self._inhibits = {name: rule.inhibits for name, rule in discover().items()}
        self._host_rules = {name for name, rule in discover().items() if rule.scope == "host"}
        self._state = queue.load_state()
        self._has_news = asyncio.Event()
        # Of what another watcher watches, it notifies: None while all is ours, and everything while that is unknown.
        self._covered: Callable[[str], bool] | None = None
        self._borrowed: tuple[tuple[Silence, ...], frozenset[Key]] = ((), frozenset())
        self.ended: set[Key] = set()
        # Whether what is not about an alert may be sent now.
        self.may_notify: Callable[[], bool] = lambda: True

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes that are notified of alerts."""
        return tuple(one.route for one in self._filters)

    def leave(self, covered: Callable[[str], bool] | None) -> None:
        """Leaves the notifications of the subjects that are `covered` to another watcher; None: takes them over.

        `ended` then collects the alerts of theirs that are resolved here.
        """
        self._covered = covered

    def borrow(self, silences: Collection[Silence], acknowledged: Collection[Key]) -> None:
        """Heeds another watcher's silences and acknowledgements too."""
        self._borrowed = (tuple(silences), frozenset(acknowledged))

    def delivered(self) -> tuple[dict[str, frozenset[Key]], list[Event]]:
        """What each route was really sent, and the resolutions that wait to be sent."""
        unsent, found, resolutions = self._queue.first_unsent(), {}, []
        for route in self.routes:
            known, first = set(self._state.notified.get(route, ())), unsent.get(route, {})
            known -= {key for key, event in first.items() if event.kind == "firing"}
            over = [event for event in first.values() if event.kind == "resolved"]
            found[route] = frozenset(known | {event.key for event in over})
            resolutions += over
        return found, resolutions

    def adopt(self, notified: Notified) -> None:
        """Takes over what the routes know, in place of what was to be sent; within a transaction or on its own."""
        state = replace(self._state, notified=notified)
        self._queue.drop_unsent(self._state, state)
        self._state = state

    def find_suppressed(self, alert_states: AlertStates, now: float) -> Suppression:
        borrowed, acknowledged = self._borrowed
        silences = [*self._silence_store.silences(now), *borrowed]
        states = alert_states.states
        return Suppression(
            find_inhibited(states, self._inhibits, self._host_rules, self._is_on),
            frozenset(key for key, state in states.items() if is_silenced(key, state.severity, silences, now)),
            self._silence_store.acknowledged | acknowledged,
        )

    def describe_alerts(self, alert_states: AlertStates, now: float) -> list[dict[str, Any]]:
        """The alerts of the API, with what suppresses each."""
        return describe_alerts(alert_states, self.find_suppressed(alert_states, now))

    def silences(self, now: float) -> list[Silence]:
        return self._silence_store.silences(now)

    def decide(self, alert_states: AlertStates, events: Collection[Event], now: float) -> Decision:
        """What each route is notified of after an evaluation; `now` is the wall clock's. Changes nothing."""
        suppression = self.find_suppressed(alert_states, now)

        def is_held(route: str, event: Event) -> bool:
            quiet = self._routes[route].quiet
            return quiet is not None and event.severity not in quiet.bypass and self._is_quiet(self._routes[route], now)

        decision = decide(
            alert_states,
            [event for event in events if is_problem(event.key.rule)],
            self._state,
            self._filters,
            now=now,
            steady_now=self._clock(),
            inhibited=suppression.inhibited.keys(),
            hidden={key for key in alert_states.states if key in suppression.silenced or not is_problem(key.rule)},
            acknowledged=suppression.acknowledged,
            is_held=is_held,
        )
        return decision if self._covered is None else self._leave_out(decision, self._covered, events)

    def write(self, decision: Decision) -> None:
        """Writes a decision, within the evaluation's transaction."""
        self._queue.add(decision, self._state, now=self._clock())
        self._silence_store.delete_acknowledgements(decision.ended_acknowledgements)

    def accept(self, decision: Decision) -> None:
        """The decision is committed: the next evaluation builds on it, and its news is dispatched."""
        self._state = decision.state
        self._silence_store.forget_acknowledgements(decision.ended_acknowledgements)
        self._has_news.set()

    async def run(self, status: Callable[[], Status]) -> None:
        """Makes notifications as they become due, until it is cancelled."""
        while True:
            self._has_news.clear()
            try:
                pause = self.dispatch(time.time())
                if self._covered is not None:
                    self.skip_digest(time.time())
                elif self.may_notify():
                    self.send_digest(status(), time.time())
                    self.send_watchdog(status().alert_states)
            except Exception:  # The guard: a full disk must not end the dispatch.
                log.exception("cannot dispatch notifications; next attempt in %g s", RETRY_SECONDS)
                pause = RETRY_SECONDS
            # Python 3.11's wait_for swallows a cancellation that coincides with the event, and this would never end.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._has_news.wait()

    def dispatch(self, now: float) -> float:
        """Makes the notifications that are due; returns the seconds until the next check. `now` is the wall clock's."""
        pauses = [MAX_SLEEP_SECONDS]
        for route in self._settings.routes:
            due = self._dispatch_route(route, now)
            if due is not None:
                pauses.append(max(0.01, due - self._clock()))
        return min(pauses)

    def send_digest(self, status: Status, now: float) -> None:
        """Sends the status of the fleet once a day, at the configured time."""
        if self._settings.digest is None or not status.now:
            return
        due = latest_occurrence(self._settings.digest, now, find_zone(self._settings.timezone))
        last = self._queue.mark(_DIGEST)
        # A time in the future was written while the clock was ahead; it must not delay the digest until then.
        if last is None or last > now + 86400:
            self._queue.set_mark(_DIGEST, now)
        # A clock that was put back must not repeat a digest, nor a late start send an old one.
        if last is None or last >= due or now - due > DIGEST_GRACE_SECONDS:
            return
        with self._queue.transaction():
            for route in self._digest_routes:
                message = compose_digest(status, self._queue.count_events(last, now), self._styles.style(route))
                self._queue.post(route, "", [message], self._clock())
            self._queue.set_mark(_DIGEST, now)
        self._outbox.wake()

    def skip_digest(self, now: float) -> None:
        """Leaves the summary that was due to another watcher."""
        if self._settings.digest is None:
            return
        last = self._queue.mark(_DIGEST)
        if last is None or last < latest_occurrence(self._settings.digest, now, find_zone(self._settings.timezone)):
            self._queue.set_mark(_DIGEST, now)

    def announce_loss(self, aside: Path) -> None:
        """Notifies that the alert states were lost: their file was damaged, and is kept as `aside`."""
        self.announce("state_lost", aside.name)

    def announce(self, news: str, name: str) -> None:
        """Sends news of the watcher itself, by the key of its words, to the routes that hear of everything."""
        for route in self._digest_routes:
            style = self._styles.style(route)
            title = f"{style.words.watcher[news + '_title']}{style.words.colon}{style.fleet}"
            message = Message(title, style.words.watcher[news].format(name))
            self._queue.post(route, "", [message], self._clock())
        self._outbox.wake()

    def send_watchdog(self, alert_states: AlertStates) -> None:
        """Sends the Watchdog to the routes that expect it, once the last one was delivered."""
        firing = [key for key in alert_states.firing() if not is_problem(key.rule)]
        for route in (route for route in self._settings.routes if route.watchdog and firing):
            mark, now, style = f"watchdog {route.name}", self._clock(), self._styles.style(route.name)
            last = self._queue.mark(mark)
            # A time in the future was written before the clock was put back.
            is_due = last is None or not last <= now < last + (route.watchdog or 0.0)
            if not is_due or self._queue.next_delivery(route.name) is not None:
                continue
            summary = alert_states.states[firing[0]].summary
            title = f"{firing[0].rule}{style.words.colon}{firing[0].peer}"
            message = Message(title, f"{summary}\n{style.words.fleet.format(style.fleet)}")
            with self._queue.transaction():
                self._queue.post(route.name, "", [message], now)
                self._queue.set_mark(mark, now)
            self._outbox.wake()

    def _leave_out(self, decision: Decision, covered: Callable[[str], bool], events: Collection[Event]) -> Decision:
        """The decision without what another watcher notifies of."""
        self.ended |= {one.key for one in events if one.kind == "resolved" and covered(one.key.peer)}
        before: Mapping[str, Collection[Key]] = self._state.notified
        notified = {
            route: frozenset(key for key in keys if not covered(key.peer))
            | frozenset(key for key in before.get(route, ()) if covered(key.peer))
            for route, keys in decision.state.notified.items()
        }
        news = tuple(one for one in decision.news if not covered(one.event.key.peer))
        return replace(decision, news=news, state=replace(decision.state, notified=notified))

    def _dispatch_route(self, route: Route, now: float) -> float | None:
        waiting = self._queue.waiting(route.name)
        if not waiting:
            return None
        held = [news for news in waiting if news.held]
        if held and not self._is_quiet(route, now):
            headline = self._styles.style().words.after_quiet
            summary = self._styles.compose(route.name, held, headline=headline)
            self._queue.post(route.name, "", summary, self._clock())
            self._outbox.wake()
        ready = [news for news in waiting if not news.held]
        sent_at = self._queue.message_times(
            route.name, self._clock() - STORM_INTERVALS * self._settings.grouping.interval
        )
        messages, due = group(ready, sent_at, self._clock(), self._settings.grouping)
        for topic, news in messages:
            self._queue.post(route.name, topic, self._styles.compose(route.name, news), self._clock())
        if messages:
            self._outbox.wake()
        return due

    def _is_quiet(self, route: Route, now: float) -> bool:
        return route.quiet is not None and route.quiet.covers(now, self._settings.timezone)
