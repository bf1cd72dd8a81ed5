"""The alert loop: scrape, evaluate, commit, notify; once per interval, whatever fails in one round.

Between two rounds it checks single peers, at the instant at which time alone changes their verdicts.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from alerts.config import AlertsConfig
from alerts.delivery.dispatcher import Dispatcher
from alerts.delivery.outbox import Outbox
from alerts.delivery.route_style import RouteStyles
from alerts.engine.deadlines import Deadlines
from alerts.engine.evaluate import ActiveRule, AlertStates, Event, Key, evaluate
from alerts.engine.state import Moment
from alerts.engine.status import Status
from alerts.engine.translation import translate_rule
from alerts.evidence.gather import Gatherer
from alerts.history.recorder import Recorder
from alerts.history.samples import HistorySample
from alerts.machines.clocks import Clocks
from alerts.machines.views import MachineWatch
from alerts.messages.single import render
from alerts.restart_record import Record
from alerts.restarts.records import Records
from alerts.restarts.restarter import Restarter, add_record
from alerts.rules import View, discover
from alerts.scraping.host import read_host_page
from alerts.scraping.inbox import Inbox
from alerts.scraping.page import Page
from alerts.scraping.scraper import Scrape, Scraper
from alerts.store import FileHealth, Store

CLOCK_STEP_SECONDS = 5.0
HEALTHY_SECONDS = 30.0
# A sidecar answers with a page that is ready; a slow one must not delay the others that are due.
CHECK_SECONDS = 1.0
# So many peers that fail together point to a problem of the host or the network.
STORM_PEERS = 5

log = logging.getLogger(__name__)


class SteadyClock:
    """Epoch seconds that never step: the wall clock at the start plus the monotonic time since then."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        return self._offset + time.monotonic()


class _Instant(NamedTuple):
    """When an evaluation happens, by both clocks."""

    wall: float
    steady: float


class HandOver(Protocol):
    """What another watcher hands over: applied between two evaluations, within one transaction."""

    def alert_states(self, before: AlertStates, is_mine: Callable[[Key], bool]) -> AlertStates: ...

    def write(self) -> None: ...

    def done(self) -> None: ...


class _Evaluation(NamedTuple):
    """What the rules say of some subjects: their alerts, the events, and the samples for the history."""

    alert_states: AlertStates
    events: list[Event]
    samples: list[HistorySample]


def _is_healthy(scrape: Scrape) -> bool:
    """Whether the sidecar answers and its trainer runs."""
    return scrape.page is not None and scrape.page.is_up() is not False


def as_it_came(view: View, scrape: Scrape | None) -> View:
    """The view of a peer at the moment at which its page came: what a later one would say is not known."""
    if scrape is None or not scrape.age_seconds or view.scope != "peer":
        return view
    return view._replace(now=view.now - scrape.age_seconds)


class Loop:
    """Evaluates the rules once per interval; `status` is the latest result.

    `clock` never steps and measures durations; `wall` is the clock of the times on the pages. `logins` are
    `user:password` by machine; `inbox` has the pages of those that push.
    """

    def __init__(
        self,
        config: AlertsConfig,
        store: Store,
        dispatcher: Dispatcher,
        outbox: Outbox,
        styles: RouteStyles,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
        recorder: Recorder | None = None,
        logins: Mapping[str, str] = MappingProxyType({}),
        inbox: Inbox | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._styles = styles
        self._clock = clock
        self._wall = wall
        self._recorder = recorder
        self._rules = [
            ActiveRule(name, translate_rule(rule, styles.style().words), config.rules.of(name))
            for name, rule in discover().items()
            if config.rules.of(name).enabled
        ]
        by_peer = {target.peer: logins[target.machine] for target in config.targets if target.machine in logins}
        self._scraper = Scraper(config.targets, config.timeout, by_peer, inbox)
        names = [machine.name for machine in config.machines]
        self._clocks = Clocks(config.state_dir)
        self._machines = MachineWatch(names, config.targets, clock(), self._clocks.leads)
        self._host_name = socket.gethostname()
        self._has_host_failed = False
        run_dirs = {target.peer: target.run_dir for target in config.targets if target.run_dir}
        self._gatherer = Gatherer(run_dirs, config.language)
        asking = [one.name for one in self._rules if one.settings.restart]
        restartable = {target.peer for target in config.targets if target.restartable}
        self._restarter = Restarter(config.restarts, asking, run_dirs, restartable, Records(store))
        self._evaluated_at = clock()
        self._checked_at: dict[str, float] = {}
        self._deadlines = Deadlines()
        self._wall_lead = wall() - clock()
        self._clock_stepped_at = 0.0
        self._clock_step_seconds = 0.0
        self._answered_at = {target.peer: clock() for target in config.targets}
        self._failures: dict[str, str] = {}
        self.status = Status(config.fleet, alert_states=store.load())
        self.on_status: Callable[[], None] = lambda: None
        self.hand_over: HandOver | None = None
        self._log_removed()

    async def run(self, stop: asyncio.Event) -> None:
        """Evaluates once per interval until `stop` is set; a scrape in progress is then cancelled."""
        dispatch = self._dispatcher.run(lambda: self.status)
        tasks = [asyncio.create_task(work) for work in (self._repeat(), dispatch, stop.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._scraper.close()

    @property
    def restarts(self) -> Mapping[str, Record]:
        """The restart record of each peer that a rule asked to restart."""
        return self._restarter.records

    @property
    def databases(self) -> Mapping[str, FileHealth]:
        """The databases by name."""
        return {"alerts": self._store} | ({} if self._recorder is None else {"history": self._recorder})

    def is_healthy(self) -> bool:
        """Whether the latest evaluation is recent."""
        limit = 3 * self._config.interval + self._config.timeout
        return self._clock() - self._evaluated_at < max(limit, HEALTHY_SECONDS)

    async def _repeat(self) -> None:
        while True:
            next_round = self._clock() + self._config.interval
            with self._guard():
                await self.check_all()
            while (left := next_round - self._clock()) > 0:
                await self._wait_and_check(left)

    async def _wait_and_check(self, seconds: float) -> None:
        """Waits until a peer is due and checks it, or for `seconds`, when the next round begins."""
        left = self._deadlines.seconds_left(self._wall())
        if left is None or left >= seconds:
            await asyncio.sleep(seconds)
            return
        await asyncio.sleep(left)
        with self._guard():
            await self.check_due(min(CHECK_SECONDS, seconds - left))

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """One failed round must not end the loop."""
        try:
            yield
        except Exception:
            log.exception("evaluation failed; next round in %g s", self._config.interval)

    async def check_all(self) -> None:
        """A round: scrapes every peer, evaluates all rules for them and the host, commits the result."""
        scrapes = await self._scraper.scrape()
        healthy = [peer for peer, scrape in scrapes.items() if _is_healthy(scrape)]
        failed = sum(_is_healthy(scrape) for scrape in self.status.scrapes.values()) - len(healthy)
        # What fails many peers fails them all, and some were scraped just before: their alerts belong to one incident.
        if failed >= STORM_PEERS:
            scrapes |= await self._scraper.scrape_some(frozenset(healthy), self._config.timeout)
        at = self._begin(scrapes)
        self._take_over()
        scrapes = self._machines.correct(scrapes, at.wall)
        views = [self._view(peer, scrape, at.wall) for peer, scrape in scrapes.items()]
        hosts = [self._view_host(at.wall), *self._machines.views(scrapes, at.wall, at.steady)]
        evaluation = self._evaluate([*views, *hosts], at, scrapes)
        after = evaluation.alert_states
        await self._write(evaluation, Status(self._config.fleet, at.wall, scrapes, after))
        self._clocks.keep(self._machines.leads)
        # Only a committed evaluation counts; after a failed commit the next round adds its time.
        self._evaluated_at = at.steady
        self._checked_at.clear()
        self._deadlines.begin_round(after.due)
        self._outbox.expire()
        pages = {peer: scrape.page for peer, scrape in scrapes.items()}
        suppressed = self._dispatcher.find_suppressed(after, at.wall).keys
        self._restarter.consider(after, pages, suppressed, at.wall)

    async def check_due(self, seconds: float = CHECK_SECONDS) -> None:
        """The same for the peers that are due and answer within `seconds`, without the host."""
        scrapes = await self._scraper.scrape_some(self._deadlines.take(self._wall()), seconds)
        if not scrapes:
            return
        at = self._begin(scrapes)
        scrapes = self._machines.correct(scrapes, at.wall)
        part = self._evaluate([self._view(peer, scrape, at.wall) for peer, scrape in scrapes.items()], at, scrapes)
        after = self.status.alert_states.replaced(scrapes, part.alert_states)
        known = {**self.status.scrapes, **scrapes}
        await self._write(part, Status(self._config.fleet, at.wall, known, after))
        self._checked_at.update(dict.fromkeys(scrapes, at.steady))
        self._deadlines.update(scrapes, after.due)

    @property
    def subjects(self) -> list[str]:
        """The peers and hosts that are watched."""
        return [*(target.peer for target in self._config.targets), self._host_name, *self._machines.names]

    def _take_over(self) -> None:
        """Applies what another watcher hands over, once nothing is being sent."""
        if self.hand_over is None or self._outbox.is_sending:
            return
        hand_over, known = self.hand_over, self._known()
        after = hand_over.alert_states(self.status.alert_states, known.__contains__)
        self._store.commit(self.status.alert_states, after, (), hand_over.write)
        self.status = replace(self.status, alert_states=after)
        self.hand_over = None
        hand_over.done()

    def _begin(self, scrapes: dict[str, Scrape]) -> _Instant:
        self._note_failures(scrapes)
        self._note_clock_step()
        return _Instant(self._wall(), self._clock())

    def _evaluate(self, views: Iterable[View], at: _Instant, scrapes: Mapping[str, Scrape]) -> _Evaluation:
        """Evaluates each subject with the time since its last check, and each page as of when it came."""
        # A host that slept, or a failed round, adds at most two rounds to the time that a condition held.
        longest = 2 * self._config.interval + self._config.timeout
        by_elapsed: dict[float, list[View]] = {}
        for view in views:
            elapsed = min(at.steady - self._checked_at.get(view.peer, self._evaluated_at), longest)
            by_elapsed.setdefault(elapsed, []).append(view)
        samples = [HistorySample(view, elapsed) for elapsed, group in by_elapsed.items() for view in group]
        parts, events = [], []
        for elapsed, group in by_elapsed.items():
            part, more = evaluate(
                [as_it_came(view, scrapes.get(view.peer)) for view in group],
                self._rules,
                self.status.alert_states,
                Moment(at.wall, elapsed),
                reminder_seconds=self._config.reminder,
            )
            parts.append(part)
            events += more
        return _Evaluation(AlertStates.merge(parts), events, samples)

    async def _write(self, evaluation: _Evaluation, status: Status) -> None:
        """Commits an evaluation with its news, after which `status` is the latest; a failed commit changes nothing."""
        events = await self._gatherer.attach(evaluation.events)
        messages = [(event, render(event, self._styles.style())) for event in events]
        decision = self._dispatcher.decide(status.alert_states, events, status.now)
        self._store.commit(
            self.status.alert_states, status.alert_states, messages, lambda: self._dispatcher.write(decision)
        )
        self.status = status
        self._dispatcher.accept(decision)
        if self._recorder is not None:
            self._recorder.record(evaluation.samples, status.alert_states)
        self.on_status()
        for _, message in messages:
            log.info("%s", message.title)

    def _view(self, peer: str, scrape: Scrape, now: float) -> View:
        record = self._restarter.records.get(peer)
        return View(
            peer=peer,
            now=now,
            page=add_record(scrape.page, record),
            restart=record,
            failure=scrape.failure,
            unreachable_seconds=self._clock() - self._answered_at[peer],
            clock_stepped_at=self._clock_stepped_at,
            clock_step_seconds=self._clock_step_seconds,
        )

    def _view_host(self, now: float) -> View:
        return View(
            peer=self._host_name,
            now=now,
            page=self._read_host(),
            clock_stepped_at=self._clock_stepped_at,
            clock_step_seconds=self._clock_step_seconds,
            scope="host",
        )

    def _read_host(self) -> Page | None:
        try:
            return read_host_page((Path(self._config.state_dir),))
        except (OSError, RuntimeError) as error:
            if not self._has_host_failed:
                log.warning("cannot read host metrics: %s", error)
            self._has_host_failed = True
            return None

    def _note_failures(self, scrapes: dict[str, Scrape]) -> None:
        """Records when each sidecar last answered; a failure is logged once."""
        for peer, scrape in scrapes.items():
            if scrape.page is not None:
                self._answered_at[peer] = self._clock() - scrape.age_seconds
            if scrape.failure != self._failures.get(peer, ""):
                log.info("peer %s: sidecar: %s", peer, scrape.failure or "OK")
            self._failures[peer] = scrape.failure

    def _note_clock_step(self) -> None:
        """Detects a clock that was set, or a host that slept: times on the pages then seem older than they are."""
        lead = self._wall() - self._clock()
        if abs(lead - self._wall_lead) > CLOCK_STEP_SECONDS:
            self._clock_stepped_at, self._clock_step_seconds = self._wall(), lead - self._wall_lead
            log.warning("clock stepped by %+.0f s: it was set, or this host slept", self._clock_step_seconds)
        self._wall_lead = lead

    def _known(self) -> set[Key]:
        """The alerts that there can be."""
        peers = [target.peer for target in self._config.targets]
        subjects = {"peer": peers, "host": [self._host_name, *self._machines.names]}
        return {Key(one.name, subject) for one in self._rules for subject in subjects[one.rule.scope]}

    def _log_removed(self) -> None:
        for key in sorted(set(self.status.alert_states.states) - self._known()):
            log.info("%s of %s is no longer monitored; its alert is dropped without notification", key.rule, key.peer)
