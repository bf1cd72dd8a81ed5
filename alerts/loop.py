"""The alert loop: scrape, evaluate, write down, tell; again every interval, whatever goes wrong in one round."""

import asyncio
import logging
import socket
import time
from pathlib import Path

from alerts.config import AlertsConfig
from alerts.dispatch import Dispatcher
from alerts.evaluate import ActiveRule, Key, evaluate
from alerts.evidence import Gatherer
from alerts.host import HostCollector, read_host
from alerts.messages import render
from alerts.outbox import Outbox
from alerts.reading import Reading
from alerts.rules import View, discover
from alerts.scrape import Scrape, Scraper
from alerts.state import Moment
from alerts.status import Status
from alerts.store import Store
from alerts.wording import Wording

CLOCK_STEP_SECONDS = 5.0
HEALTHY_SECONDS = 30.0

log = logging.getLogger(__name__)


class SteadyClock:
    """Epoch seconds that pass evenly: the clock's time at the start plus the time since then."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        return self._offset + time.monotonic()


class Loop:
    """Evaluates the rules again and again; `status` is the latest result."""

    def __init__(
        self,
        config: AlertsConfig,
        store: Store,
        dispatcher: Dispatcher,
        outbox: Outbox,
        wording: Wording,
        clock: SteadyClock,
    ) -> None:
        self._config = config
        self._store = store
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._wording = wording
        self._clock = clock
        self._rules = [
            ActiveRule(name, rule, config.rules.of(name))
            for name, rule in discover().items()
            if config.rules.of(name).enabled
        ]
        self._scraper = Scraper(config.targets, config.timeout_seconds)
        self._host = HostCollector((Path(config.state_dir),))
        self._host_name = socket.gethostname()
        self._is_host_unread = False
        self._gatherer = Gatherer({target.peer: target.run_dir for target in config.targets if target.run_dir})
        self._evaluated_at = clock()
        self._wall_lead = time.time() - clock()
        self._clock_stepped_at = 0.0
        self._heard_at = {target.peer: clock() for target in config.targets}
        self._failures: dict[str, str] = {}
        self.status = Status(config.fleet, standing=store.load())
        self._report_forgotten()

    async def run(self, stop: asyncio.Event) -> None:
        """Evaluates once per interval until `stop` is set; a scrape under way is then given up."""
        dispatch = self._dispatcher.run(lambda: self.status)
        tasks = [asyncio.create_task(work) for work in (self._repeat(), dispatch, stop.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._scraper.close()

    def is_healthy(self) -> bool:
        """Whether evaluations still come."""
        patience = 3 * self._config.interval_seconds + self._config.timeout_seconds
        return self._clock() - self._evaluated_at < max(patience, HEALTHY_SECONDS)

    async def _repeat(self) -> None:
        while True:
            began = self._clock()
            try:
                await self._tick()
            except Exception:  # The fence: one failed round must not end the watch.
                log.exception("this round failed; the next one comes in %g s", self._config.interval_seconds)
            await asyncio.sleep(max(0.0, began + self._config.interval_seconds - self._clock()))

    async def _tick(self) -> None:
        scrapes = await self._scraper.scrape()
        self._note_failures(scrapes)
        self._note_clock_step()
        now, steady = time.time(), self._clock()
        # A host that slept, or a round that failed, adds no more than two rounds to the time that a condition held.
        longest = 2 * self._config.interval_seconds + self._config.timeout_seconds
        moment = Moment(now, min(steady - self._evaluated_at, longest))
        before = self.status.standing
        views = [self._view(peer, scrape, now) for peer, scrape in scrapes.items()]
        views.append(self._view_host(now))
        after, events = evaluate(views, self._rules, before, moment, reminder_seconds=self._config.reminder)
        events = await self._gatherer.attach(events)
        told = [(event, render(event, self._wording.style())) for event in events]
        self._store.commit(before, after, told, self._dispatcher.queue(after, events, now))
        # Only what is written down counts; a round that could not be written is judged again.
        self._evaluated_at = steady
        self.status = Status(self._config.fleet, now, scrapes, after)
        for _, message in told:
            log.info("%s", message.title)
        self._outbox.expire()
        self._dispatcher.settle()

    def _view(self, peer: str, scrape: Scrape, now: float) -> View:
        return View(
            peer=peer,
            now=now,
            reading=scrape.reading,
            failure=scrape.failure,
            unreachable_seconds=self._clock() - self._heard_at[peer],
            clock_stepped_at=self._clock_stepped_at,
        )

    def _view_host(self, now: float) -> View:
        return View(
            peer=self._host_name,
            now=now,
            reading=self._read_host(),
            clock_stepped_at=self._clock_stepped_at,
            scope="host",
        )

    def _read_host(self) -> Reading | None:
        try:
            return read_host(self._host)
        except (OSError, RuntimeError) as error:
            if not self._is_host_unread:
                log.warning("the machine's own numbers cannot be read: %s", error)
            self._is_host_unread = True
            return None

    def _note_failures(self, scrapes: dict[str, Scrape]) -> None:
        """Keeps when each sidecar last answered; a failure is logged once."""
        for peer, scrape in scrapes.items():
            if scrape.reading is not None:
                self._heard_at[peer] = self._clock()
            if scrape.failure != self._failures.get(peer, ""):
                log.info("peer %s: sidecar: %s", peer, scrape.failure or "answers")
            self._failures[peer] = scrape.failure

    def _note_clock_step(self) -> None:
        """Notices a clock that was set, or a host that slept: times on the pages then look older than they are."""
        lead = time.time() - self._clock()
        if abs(lead - self._wall_lead) > CLOCK_STEP_SECONDS:
            log.warning("the clock moved by %+.0f s: it was set, or this machine slept", lead - self._wall_lead)
            self._clock_stepped_at = time.time()
        self._wall_lead = lead

    def _report_forgotten(self) -> None:
        subjects = {"peer": [target.peer for target in self._config.targets], "host": [self._host_name]}
        known = {Key(one.name, subject) for one in self._rules for subject in subjects[one.rule.scope]}
        for key in sorted(set(self.status.standing.states) - known):
            log.info("%s of %s is no longer watched; its alert ends without a message", key.rule, key.peer)
