"""Delivers notifications: one worker per route, one message at a time, until the service has accepted it."""

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
from alerts.delivery.retry_policy import DEFAULT_POLICY, RetryPolicy
from alerts.delivery.route_style import RouteStyles
from alerts.durations import describe_duration
from alerts.messages.single import Message

# More notifications than these are collapsed into a summary.
MAX_WAITING = 3
IDLE_SECONDS = 60.0
# Between two questions whether attempts may begin.
HELD_SECONDS = 0.5

log = logging.getLogger(__name__)


@dataclass
class RouteHealth:
    """Status of a route: failed attempts in a row, the reason of the last one, the time of the last success."""

    failures: int = 0
    reason: str = ""
    delivered_at: float | None = None


class Outbox:
    """The workers of all routes. `clock` is steady epoch seconds; only the loop's thread uses the database."""

    def __init__(
        self,
        queue: Queue,
        sender: Sender,
        styles: RouteStyles,
        routes: tuple[str, ...],
        clock: Callable[[], float],
        chart_drawer: ChartDrawer | None = None,
        policy: RetryPolicy = DEFAULT_POLICY,
    ) -> None:
        """Without a `chart_drawer` there are no charts."""
        self.results: Counter[str] = Counter(delivered=0, failed=0, expired=0)
        self._queue = queue
        self._clock = clock
        self._policy = policy
        self._workers = {
            route: _Worker(route, queue, sender, styles, clock, self.results, chart_drawer, policy) for route in routes
        }
        self._tasks: list[asyncio.Task[None]] = []

    def guard(self, may_send: Callable[[], bool], on_delivered: Callable[[], None]) -> None:
        """Begins no attempt while `may_send` says no; `on_delivered` is called when a service has accepted one."""
        for worker in self._workers.values():
            worker.may_send, worker.on_delivered = may_send, on_delivered

    @property
    def is_sending(self) -> bool:
        """Whether an attempt is in progress."""
        return any(worker.is_sending for worker in self._workers.values())

    @property
    def health(self) -> dict[str, RouteHealth]:
        return {route: worker.health for route, worker in self._workers.items()}

    def count_deliveries(self) -> dict[str, dict[str, int]]:
        """By route and state."""
        return self._queue.count_deliveries()

    def start(self) -> None:
        # The cause of a failure may have been fixed before this restart, so our own back-off starts again.
        for route in self._workers:
            self._queue.release_route(route)
        self._tasks = [asyncio.create_task(worker.run()) for worker in self._workers.values()]

    def wake(self) -> None:
        """Makes the workers check for new deliveries."""
        for worker in self._workers.values():
            worker.wake()

    def expire(self) -> None:
        """Gives up, and logs, deliveries that are too old or whose route is no longer configured."""
        for route, count in self._queue.expire(self._policy.expires_before(self._clock()), self._workers):
            limit = describe_duration(self._policy.expire_after_seconds)
            reason = f"not delivered within {limit}" if route in self._workers else "no longer configured"
            log.error("route %s: gave up %d notifications: %s", route, count, reason)
            self.results["expired"] += count

    async def close(self, grace_seconds: float) -> None:
        """Waits for attempts in progress; one that takes longer than `grace_seconds` is repeated after the restart."""
        for worker in self._workers.values():
            worker.stop()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


class _Worker:
    """Delivers the notifications of one route."""

    def __init__(
        self,
        route: str,
        queue: Queue,
        sender: Sender,
        styles: RouteStyles,
        clock: Callable[[], float],
        results: Counter[str],
        chart_drawer: ChartDrawer | None,
        policy: RetryPolicy,
    ) -> None:
        self.health = RouteHealth()
        self.is_sending = False
        self.may_send: Callable[[], bool] = lambda: True
        self.on_delivered: Callable[[], None] = lambda: None
        self._route = route
        self._queue = queue
        self._sender = sender
        self._styles = styles
        self._clock = clock
        self._results = results
        self._chart_drawer = chart_drawer
        self._policy = policy
        self._is_woken = asyncio.Event()
        self._is_stopping = False
        self._not_before = 0.0
        self._accepted: set[int] = set()
        self._hung: dict[Future[DeliveryResult], int] = {}

    def wake(self) -> None:
        self._is_woken.set()

    def stop(self) -> None:
        self._is_stopping = True
        self._is_woken.set()

    async def run(self) -> None:
        while not self._is_stopping:
            self._is_woken.clear()
            try:
                pause = await self._work()
            except Exception as error:  # noqa: BLE001  # The guard: a full disk must not end the worker.
                log.error("route %s: cannot read or write the outbox: %s", self._route, error)
                pause = self._policy.storage_retry_seconds
            if pause > 0 and not self._is_stopping:
                await self._sleep(pause)

    async def _work(self) -> float:
        """Makes the attempt that is due, if any; returns the seconds until the next check."""
        self._collect_hung()
        self._record_accepted()
        if not self._policy.may_send(len(self._hung)):
            return self._policy.storage_retry_seconds
        delivery = self._queue.next_delivery(self._route)
        if delivery is None:
            return IDLE_SECONDS
        wait = self._policy.seconds_until(max(delivery.due_at, self._not_before), self._clock())
        if wait:
            return min(wait, IDLE_SECONDS)
        if not self.may_send():
            return HELD_SECONDS
        if self._collapse():
            return 0.0
        self.is_sending = True
        try:
            result = await self._attempt(delivery)
        finally:
            self.is_sending = False
        if result.accepted:
            self._accepted.add(delivery.id)
            self._record_accepted()
        else:
            self._record_failure(delivery, result)
        return 0.0

    def _collapse(self) -> bool:
        """Replaces many waiting notifications by a summary: after an outage, or in a storm of several rules."""
        count, news = self._queue.collapsible(self._route, {*self._accepted, *self._hung.values()})
        if count <= MAX_WAITING:
            return False
        self._queue.collapse(self._route, self._styles.compose(self._route, news), self._clock())
        return True

    async def _attempt(self, delivery: Delivery) -> DeliveryResult:
        """Sends in its own thread: a thread cannot be ended, and one that hangs must not block the others."""
        future: Future[DeliveryResult] = Future()
        message, alerts = delivery.message, self._queue.alerts_of(delivery.id)
        if alerts:
            message = message._replace(buttons=self._styles.buttons(self._route, delivery.id))
        # The chart may be why a service refused the message, so a repeated attempt goes without it.
        request = choose(alerts, self._clock()) if self._chart_drawer is not None and not delivery.attempts else None

        def send() -> None:
            self._send(message, request, future)

        threading.Thread(target=send, name=f"send-{delivery.id}", daemon=True).start()
        timeout = self._policy.send_timeout_seconds
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), timeout)
        except TimeoutError:
            self._hung[future] = delivery.id
            return DeliveryResult(False, f"no answer within {timeout:g} s")

    def _send(self, message: Message, request: ChartRequest | None, future: Future[DeliveryResult]) -> None:
        """Sends a message with its chart. A chart that is sent separately must not delay the record of the message."""
        place = self._sender.image_place(self._route) if request is not None else ""
        if request is None or self._chart_drawer is None or not place:
            future.set_result(self._sender.send(self._route, message))
        elif place == "inside":
            future.set_result(self._sender.send(self._route, message._replace(image=self._chart_drawer.draw(request))))
        else:
            result = self._sender.send(self._route, message)
            future.set_result(result)
            image = self._chart_drawer.draw(request) if result.accepted else b""
            if image:
                self._sender.send_image(self._route, image)

    def _collect_hung(self) -> None:
        """Records attempts that ended after their time-out; one that succeeded is not repeated."""
        for future in [future for future in self._hung if future.done()]:
            delivery = self._hung.pop(future)
            if future.result().accepted:
                self._accepted.add(delivery)

    def _record_accepted(self) -> None:
        """Writes what the service accepted; kept in memory until that works, as sending it again would repeat it."""
        for delivery in list(self._accepted):
            self._queue.mark_delivered(delivery)
            self._accepted.discard(delivery)
            self._results["delivered"] += 1
            if self.health.failures:
                self._queue.release_route(self._route)
                log.info("route %s: delivery recovered after %d failed attempts", self._route, self.health.failures)
            self._not_before = 0.0
            self.health = RouteHealth(delivered_at=self._clock())
            self.on_delivered()

    def _record_failure(self, delivery: Delivery, result: DeliveryResult) -> None:
        self._results["failed"] += 1
        self.health.failures += 1
        self.health.reason = result.reason
        retry = self._policy.plan_retry(
            result,
            route_failures=self.health.failures,
            delivery_failures=delivery.attempts + 1,
            is_hung=delivery.id in self._hung.values(),
            jitter=random.random(),
        )
        self._not_before = self._clock() + retry.route_seconds
        log.warning(
            "route %s: delivery failed: %s; attempt %d, next in %s",
            self._route,
            result.reason,
            self.health.failures,
            describe_duration(retry.route_seconds),
        )
        self._queue.mark_failed(delivery.id, self._clock() + retry.delivery_seconds)
        if retry.holds_route:
            self._queue.hold_route(self._route, self._not_before)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._is_woken.wait(), seconds)
        except TimeoutError:
            return
