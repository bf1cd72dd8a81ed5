"""Carries deliveries to their routes: one worker per route, one message at a time, until the service has taken it."""

import asyncio
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from alerts.charts.choose import ChartDrawer, ChartRequest, choose
from alerts.delivery.apprise_sender import Sender
from alerts.delivery.outcome import DeliveryResult
from alerts.delivery.queue import Delivery, Queue
from alerts.delivery.route_style import RouteStyles
from alerts.durations import describe_duration
from alerts.messages.single import Message

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 300.0
RATE_LIMIT_PAUSE_SECONDS = 60.0
LONGEST_RATE_LIMIT_SECONDS = 86400.0
SEND_TIMEOUT_SECONDS = 60.0
HUNG_SENDS_ALLOWED = 3
EXPIRE_AFTER_SECONDS = 7 * 86400.0
MOST_WAITING = 3
IDLE_SECONDS = 60.0
PROBLEM_SECONDS = 5.0

log = logging.getLogger(__name__)


def pause_after(failures: int, outcome: DeliveryResult, jitter: float) -> float:
    """Seconds to wait after this many failures in a row; `jitter` in 0..1 spreads the attempts.

    A service that says how long it wants to be left alone is left alone for at least so long.
    """
    if outcome.retry_after_seconds is not None:
        return min(outcome.retry_after_seconds, LONGEST_RATE_LIMIT_SECONDS) + 1.0 + 2.0 * jitter
    first = RATE_LIMIT_PAUSE_SECONDS if outcome.is_rate_limited else FIRST_PAUSE_SECONDS
    return min(first * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE_SECONDS) * (1.0 + 0.25 * jitter)


@dataclass
class RouteHealth:
    """How a route fares: failed attempts in a row, the last one's reason, the last success."""

    failures: int = 0
    reason: str = ""
    delivered_at: float | None = None


class Outbox:
    """The workers of all routes. `clock` is epoch seconds that never step; only the loop's thread uses the database."""

    def __init__(
        self,
        queue: Queue,
        sender: Sender,
        styles: RouteStyles,
        routes: tuple[str, ...],
        clock: Callable[[], float],
        chart_drawer: ChartDrawer | None = None,
    ) -> None:
        """Without an `chart_drawer` there are no charts."""
        self.results: Counter[str] = Counter(delivered=0, failed=0, expired=0)
        self._queue = queue
        self._clock = clock
        self._workers = {
            route: _Worker(route, queue, sender, styles, clock, self.results, chart_drawer) for route in routes
        }
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def health(self) -> dict[str, RouteHealth]:
        return {route: worker.health for route, worker in self._workers.items()}

    def count_deliveries(self) -> dict[str, dict[str, int]]:
        """As the queue counts them: by route and state."""
        return self._queue.count_deliveries()

    def start(self) -> None:
        # Whoever restarts the loop may have mended what failed, so our own patience starts anew.
        for route in self._workers:
            self._queue.release_route(route)
        self._tasks = [asyncio.create_task(worker.run()) for worker in self._workers.values()]

    def wake(self) -> None:
        """Lets the workers look for new deliveries."""
        for worker in self._workers.values():
            worker.wake()

    def expire(self) -> None:
        """Gives up what could not be delivered for too long, or has lost its route; says so."""
        for route, count in self._queue.expire(self._clock() - EXPIRE_AFTER_SECONDS, self._workers):
            known = route in self._workers
            why = f"not delivered within {describe_duration(EXPIRE_AFTER_SECONDS)}" if known else "no longer configured"
            log.error("route %s: gave up %d notifications: %s", route, count, why)
            self.results["expired"] += count

    async def close(self, grace_seconds: float) -> None:
        """Lets attempts under way finish and be recorded; one that takes longer is made again at the next start."""
        for worker in self._workers.values():
            worker.stop()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


class _Worker:
    """Delivers what waits for one route."""

    def __init__(
        self,
        route: str,
        queue: Queue,
        sender: Sender,
        styles: RouteStyles,
        clock: Callable[[], float],
        results: Counter[str],
        chart_drawer: ChartDrawer | None,
    ) -> None:
        self.health = RouteHealth()
        self._route = route
        self._queue = queue
        self._sender = sender
        self._styles = styles
        self._clock = clock
        self._results = results
        self._chart_drawer = chart_drawer
        self._news = asyncio.Event()
        self._is_stopping = False
        self._not_before = 0.0
        self._accepted: set[int] = set()
        self._hung: dict[Future[DeliveryResult], int] = {}

    def wake(self) -> None:
        self._news.set()

    def stop(self) -> None:
        self._is_stopping = True
        self._news.set()

    async def run(self) -> None:
        while not self._is_stopping:
            self._news.clear()
            try:
                pause = await self._work()
            except Exception as error:  # noqa: BLE001  # The fence: a full disk must not end the worker.
                log.error("route %s: the outbox could not be read or written: %s", self._route, error)
                pause = PROBLEM_SECONDS
            if pause > 0 and not self._is_stopping:
                await self._sleep(pause)

    async def _work(self) -> float:
        """Makes the attempt that is due, if any; seconds until there may be more to do."""
        self._collect_hung()
        self._record_accepted()
        if len(self._hung) >= HUNG_SENDS_ALLOWED:
            return PROBLEM_SECONDS
        delivery = self._queue.next_delivery(self._route)
        if delivery is None:
            return IDLE_SECONDS
        wait = max(delivery.due_at, self._not_before) - self._clock()
        # A longer wait than any that is ever set means that the clock was put back while nothing ran.
        if 0 < wait <= 2 * LONGEST_RATE_LIMIT_SECONDS:
            return min(wait, IDLE_SECONDS)
        if self._collapse():
            return 0.0
        outcome = await self._attempt(delivery)
        if outcome.accepted:
            self._accepted.add(delivery.id)
            self._record_accepted()
        else:
            self._record_failure(delivery, outcome)
        return 0.0

    def _collapse(self) -> bool:
        """Makes one summary of what waits, where that is much: after an outage, or in a storm of several rules."""
        count, news = self._queue.collapsible(self._route, {*self._accepted, *self._hung.values()})
        if count <= MOST_WAITING:
            return False
        self._queue.collapse(self._route, self._styles.compose(self._route, news), self._clock())
        return True

    async def _attempt(self, delivery: Delivery) -> DeliveryResult:
        """Sends in a thread of its own: a thread cannot be ended, and one that hangs must not hold up the rest."""
        future: Future[DeliveryResult] = Future()
        message, alerts = delivery.message, self._queue.alerts_of(delivery.id)
        if alerts:
            message = message._replace(buttons=self._styles.buttons(self._route, delivery.id))
        # A service that refused the message may have refused its chart.
        request = choose(alerts, self._clock()) if self._chart_drawer is not None and not delivery.attempts else None

        def send() -> None:
            self._send(message, request, future)

        threading.Thread(target=send, name=f"send-{delivery.id}", daemon=True).start()
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), SEND_TIMEOUT_SECONDS)
        except TimeoutError:
            self._hung[future] = delivery.id
            return DeliveryResult(False, f"no answer within {SEND_TIMEOUT_SECONDS:g} s")

    def _send(self, message: Message, request: ChartRequest | None, future: Future[DeliveryResult]) -> None:
        """Sends a message with its chart. What a chart needs more must not hold up the record of the message."""
        place = self._sender.image_place(self._route) if request is not None else ""
        if request is None or self._chart_drawer is None or not place:
            future.set_result(self._sender.send(self._route, message))
        elif place == "inside":
            future.set_result(self._sender.send(self._route, message._replace(image=self._chart_drawer.draw(request))))
        else:
            outcome = self._sender.send(self._route, message)
            future.set_result(outcome)
            image = self._chart_drawer.draw(request) if outcome.accepted else b""
            if image:
                self._sender.send_image(self._route, image)

    def _collect_hung(self) -> None:
        """Takes note of attempts that ended after their time-out; one that succeeded need not be made again."""
        for future in [future for future in self._hung if future.done()]:
            delivery = self._hung.pop(future)
            if future.result().accepted:
                self._accepted.add(delivery)

    def _record_accepted(self) -> None:
        """Writes down what the service took. It stays noted here until that works: to send it again would repeat it."""
        for delivery in list(self._accepted):
            self._queue.mark_delivered(delivery)
            self._accepted.discard(delivery)
            self._results["delivered"] += 1
            if self.health.failures:
                self._queue.release_route(self._route)
                log.info("route %s: delivers again after %d failed attempts", self._route, self.health.failures)
            self._not_before = 0.0
            self.health = RouteHealth(delivered_at=self._clock())

    def _record_failure(self, delivery: Delivery, outcome: DeliveryResult) -> None:
        self._results["failed"] += 1
        self.health.failures += 1
        self.health.reason = outcome.reason
        pause = pause_after(self.health.failures, outcome, random.random())
        self._not_before = self._clock() + pause
        log.warning(
            "route %s: not delivered: %s; attempt %d, next in %s",
            self._route,
            outcome.reason,
            self.health.failures,
            describe_duration(pause),
        )
        own_pause = pause_after(delivery.attempts + 1, outcome, random.random())
        if delivery.id in self._hung.values():  # It may still arrive: it is not repeated at once.
            own_pause = LONGEST_PAUSE_SECONDS
        self._queue.mark_failed(delivery.id, self._clock() + max(pause, own_pause))
        if outcome.is_rate_limited:
            self._queue.hold_route(self._route, self._not_before)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return
