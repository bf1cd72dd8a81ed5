"""Delivery: order, rate limits, and routes that hang."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from alerts.config import AlertsConfig
from alerts.delivery.apprise_sender import Sender
from alerts.delivery.outbox import Outbox
from alerts.delivery.outcome import DeliveryResult
from alerts.delivery.queue import Queue
from alerts.delivery.retry_policy import RetryPolicy
from alerts.delivery.route_style import RouteStyles
from alerts.delivery.routing import Decision, DeliveryState, RoutedEvent
from alerts.delivery.service_text import TextLimits
from alerts.engine.evaluate import Event, Key
from alerts.messages.single import Message
from alerts.store import Store

REFUSED = DeliveryResult(False, "refused")


class FakeSender(Sender):
    """Answers as each route's script says, then accepts everything."""

    def __init__(self, **answers: list[DeliveryResult | threading.Event]) -> None:
        self._answers = answers
        self.bots = {}
        self.sent: list[tuple[str, str]] = []

    def limits(self, route: str) -> TextLimits:
        return TextLimits(180, 3000, 0, len)

    def image_place(self, route: str) -> Literal["", "inside", "after"]:
        return ""

    def send(self, route: str, message: Message) -> DeliveryResult:
        answers = self._answers.get(route, [])
        answer = answers.pop(0) if answers else DeliveryResult(True)
        if isinstance(answer, threading.Event):
            answer.wait(20)
            answer = DeliveryResult(True)
        if answer.accepted:
            self.sent.append((route, message.title))
        return answer


class Clock:
    """A clock that a test sets."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def _post(queue: Queue, title: str, *, peer: str = "a", routes: tuple[str, ...], now: float = 1_000_000.0) -> None:
    event = Event(Key("PeerDown", peer), "firing", 0, 0, "critical", "")
    queue.add(Decision(tuple(RoutedEvent(route, event) for route in routes)), DeliveryState(), now=now)
    for route in routes:
        queue.post(route, "", [Message(title, "body", news=tuple(queue.waiting(route)))], now)


def _outbox(
    queue: Queue, sender: Sender, routes: tuple[str, ...], clock: Callable[[], float], **policy: float
) -> Outbox:
    styles = RouteStyles(AlertsConfig(fleet="demo", state_dir=Path("/nowhere")), sender)
    return Outbox(queue, sender, styles, routes, clock, policy=RetryPolicy(**policy))  # type: ignore[arg-type]


async def _until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not check():
            await asyncio.sleep(0.01)


async def _advance(outbox: Outbox, clock: Clock, seconds: float) -> None:
    """Lets time pass for the workers, which sleep by the real clock and are woken."""
    clock.now += seconds
    outbox.wake()
    await asyncio.sleep(0.1)


def test_an_alert_keeps_its_order_while_another_overtakes_it(tmp_path: Path) -> None:
    async def run() -> None:
        clock, store = Clock(), Store(tmp_path / "alerts.sqlite")
        queue = Queue(store)
        sender = FakeSender(hook=[REFUSED])
        for title, peer in (("a fires", "a"), ("a is over", "a"), ("b fires", "b")):
            _post(queue, title, peer=peer, routes=("hook",))
        outbox = _outbox(queue, sender, ("hook",), clock)
        outbox.start()
        await _until(lambda: outbox.results["failed"])
        assert sender.sent == []
        await _advance(outbox, clock, 4)
        await _until(lambda: outbox.results["delivered"] == 3)
        titles = [title for _, title in sender.sent]
        assert titles.index("a fires") < titles.index("a is over")
        assert outbox.health["hook"].failures == 0
        await outbox.close(1)
        store.close()

    asyncio.run(run())


def test_a_rate_limit_holds_the_whole_route_and_no_other_and_outlives_a_restart(tmp_path: Path) -> None:
    async def run() -> None:
        clock, store = Clock(), Store(tmp_path / "alerts.sqlite")
        queue = Queue(store)
        sender = FakeSender(phone=[DeliveryResult(False, "429", 100.0, True)])
        _post(queue, "first", routes=("phone", "mail"))
        outbox = _outbox(queue, sender, ("phone", "mail"), clock)
        outbox.start()
        await _until(lambda: outbox.results["failed"] and outbox.results["delivered"])
        _post(queue, "second", peer="b", routes=("phone", "mail"))
        await _advance(outbox, clock, 99)
        await _until(lambda: outbox.results["delivered"] == 2)
        assert sender.sent == [("mail", "first"), ("mail", "second")]
        await outbox.close(1)
        outbox = _outbox(queue, FakeSender(phone=[REFUSED] * 9), ("phone",), clock)
        outbox.start()
        await _until(lambda: outbox.results["failed"])  # `second` was not there when the service asked for its pause
        assert queue.next_delivery("phone") is not None
        await outbox.close(1)
        sender = FakeSender()
        outbox = _outbox(queue, sender, ("phone",), clock)
        outbox.start()
        await _until(lambda: sender.sent)
        assert sender.sent == [("phone", "second")]
        await _advance(outbox, clock, 5)
        await _until(lambda: len(sender.sent) == 2)
        assert sender.sent[1] == ("phone", "first")
        await outbox.close(1)
        store.close()

    asyncio.run(run())


def test_a_route_that_hangs_delays_no_other_and_its_late_success_is_not_repeated(tmp_path: Path) -> None:
    async def run() -> None:
        clock, store, release = Clock(), Store(tmp_path / "alerts.sqlite"), threading.Event()
        queue = Queue(store)
        sender = FakeSender(stuck=[release])
        _post(queue, "first", routes=("stuck", "hook"))
        outbox = _outbox(queue, sender, ("stuck", "hook"), clock, send_timeout_seconds=0.5)
        outbox.start()
        await _until(lambda: outbox.results["failed"] and outbox.results["delivered"])
        assert sender.sent == [("hook", "first")]
        assert outbox.health["stuck"].reason == "no answer within 0.5 s"
        release.set()
        await _until(lambda: ("stuck", "first") in sender.sent)
        await _advance(outbox, clock, 3600)
        await _until(lambda: outbox.results["delivered"] == 2)
        assert sender.sent.count(("stuck", "first")) == 1
        await outbox.close(1)
        store.close()

    asyncio.run(run())


def test_hung_attempts_are_limited(tmp_path: Path) -> None:
    async def run() -> None:
        clock, store, release = Clock(), Store(tmp_path / "alerts.sqlite"), threading.Event()
        queue = Queue(store)
        for peer in "abcdef":
            _post(queue, peer, peer=peer, routes=("stuck",))
        outbox = _outbox(queue, FakeSender(stuck=[release] * 9), ("stuck",), clock, send_timeout_seconds=0.05)
        outbox.start()

        async def hung_after_a_retry() -> list[threading.Thread]:
            await _advance(outbox, clock, 1000)
            return [thread for thread in threading.enumerate() if thread.name.startswith("send-")]

        async with asyncio.timeout(60):
            while len(await hung_after_a_retry()) < RetryPolicy().max_hung_sends:
                pass
        for _ in range(3):
            hung = await hung_after_a_retry()
            assert len(hung) == RetryPolicy().max_hung_sends
        release.set()
        await outbox.close(1)
        store.close()
        for thread in hung:
            thread.join()

    asyncio.run(run())


def test_an_accepted_delivery_is_not_repeated_although_it_could_not_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        clock, store, sender = Clock(), Store(tmp_path / "alerts.sqlite"), FakeSender()
        queue = Queue(store)
        mark, failures = queue.mark_delivered, iter(range(3))

        def fail_at_first(delivery: int) -> None:
            if next(failures, None) is not None:
                raise OSError("disk full")
            mark(delivery)

        monkeypatch.setattr(queue, "mark_delivered", fail_at_first)
        _post(queue, "first", routes=("hook",))
        outbox = _outbox(queue, sender, ("hook",), clock, storage_retry_seconds=0.05)
        outbox.start()
        await _until(lambda: outbox.results["delivered"])
        assert sender.sent == [("hook", "first")]
        assert queue.next_delivery("hook") is None
        await outbox.close(1)
        store.close()

    asyncio.run(run())


def test_expired_deliveries_are_logged_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, store = Clock(), Store(tmp_path / "alerts.sqlite")
    queue = Queue(store)
    _post(queue, "old", routes=("hook", "gone"), now=clock.now)
    clock.now += 8 * 86400
    outbox = _outbox(queue, FakeSender(), ("hook",), clock)
    outbox.expire()
    assert outbox.results["expired"] == 2
    assert "route gone: gave up 1 notifications: no longer configured" in caplog.text
    assert "route hook: gave up 1 notifications: not delivered within 7 d" in caplog.text
    store.close()
