"""Charts: which one goes with an alert, what is drawn from a real history, and how it is delivered."""

import asyncio
import importlib.util
import logging
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts.charts.choose import ChartDrawer, ChartRequest, choose
from alerts.config import AlertsConfig
from alerts.delivery.apprise_sender import Sender
from alerts.delivery.outbox import Outbox
from alerts.delivery.queue import Queue
from alerts.delivery.retry_policy import RetryPolicy
from alerts.delivery.route_style import RouteStyles
from alerts.delivery.routing import Decision, DeliveryState, RoutedEvent
from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.history.recorder import Recorder
from alerts.history.settings import HistorySettings
from alerts.messages.single import Message
from alerts.store import Store
from alerts.telegram.bot import make_bot
from tests.alerts.bot_api import TOKEN, BotApi
from tests.alerts.history.scenes import START, Peer, sample_rounds
from tests.fakes import Mailbox, Webhook, reserve_ports

pytestmark = [
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
    pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib"),
]
UNTIL = START + 3600.0
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that runs many tests draws slowly."""
    monkeypatch.setattr("alerts.charts.choose.SECONDS", 100.0)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour of two peers."""
    recorder = Recorder(tmp_path_factory.mktemp("history"), HistorySettings())
    recorder.start()
    for group in sample_rounds([Peer("sly_fox", 1), Peer("$b_{x}$", 2)], since=START, seconds=3600, every=60):
        recorder.record(group, AlertStates())
    recorder.close()
    return recorder.path


@pytest.fixture
def bot_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BotApi]:
    api = BotApi(tmp_path / "telegram.pem")
    for name, value in api.environment.items():
        monkeypatch.setenv(name, value)
    yield api
    api.close()


def _size(png: bytes) -> tuple[int, int]:
    assert png.startswith(PNG)
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_the_chart_shows_the_first_rule_that_has_one_and_few_peers() -> None:
    assert choose([Key("SourceDown", "a"), Key("Watchdog", "h")], 5) is None
    keys = [Key("SourceDown", "a"), *(Key("MemoryExceeded", str(n)) for n in range(9)), Key("PeerStalled", "z")]
    assert choose(keys, 5) == ChartRequest("MemoryExceeded", ("0", "1", "2", "3", "4"), 5)
    assert choose([Key("PeerStalled", "a"), Key("PeerDown", "a"), Key("RankDrop", "b")], 5) == ChartRequest(
        "PeerStalled", ("a",), 5
    )


@pytest.mark.parametrize(("rule", "language"), [("MemoryExceeded", "zh-CN"), ("RankDrop", "en")])
def test_a_chart_is_drawn_from_the_history_in_a_size_for_a_phone(history: Path, rule: str, language: str) -> None:
    png = ChartDrawer(history, language, "Europe/Berlin").draw(ChartRequest(rule, ("sly_fox", "$b_{x}$"), UNTIL))
    assert _size(png) == (960, 540)
    assert 5_000 < len(png) < 300_000


def test_without_data_there_is_no_chart_and_no_warning(
    history: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert ChartDrawer(history, "en", None).draw(ChartRequest("RankDrop", ("nobody",), UNTIL)) == b""
    assert ChartDrawer(tmp_path / "none.sqlite", "en", None).draw(ChartRequest("RankDrop", ("sly_fox",), UNTIL)) == b""
    without = ChartDrawer(history, "en", None)
    without.can_draw = False
    assert without.draw(ChartRequest("RankDrop", ("sly_fox",), UNTIL)) == b""
    assert not caplog.records


def test_a_chart_that_fails_or_times_out_is_left_out_and_logged_once(
    history: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "history.sqlite"
    damaged.write_bytes(b"SQLite format 3\0" + b"x" * 9000)
    chart_drawer = ChartDrawer(damaged, "en", None)
    with caplog.at_level(logging.INFO):
        for peer in ("a", "b"):
            assert chart_drawer.draw(ChartRequest("RankDrop", (peer,), UNTIL)) == b""
        (record,) = caplog.records
        assert "a chart could not be drawn: " in record.getMessage()
        caplog.clear()
        monkeypatch.setattr("alerts.charts.choose.SECONDS", 0.05)
        assert ChartDrawer(history, "en", None).draw(ChartRequest("RankDrop", ("sly_fox",), UNTIL)) == b""
        assert "TimeoutExpired" in caplog.text


@pytest.mark.parametrize("commanded", [(), ("phone",)])
def test_a_chart_follows_its_message_in_telegram_is_in_a_mail_and_in_no_webhook(
    history: Path, tmp_path: Path, bot_api: BotApi, commanded: tuple[str, ...]
) -> None:
    webhook, mailbox = Webhook(), Mailbox(reserve_ports(1)[0])
    mailbox.start()
    store = Store(tmp_path / "alerts.sqlite")
    try:
        urls = {"phone": f"tgram://{TOKEN}/4242", "mail": mailbox.url, "hook": webhook.url}
        bots = {route: make_bot(route, urls[route]) for route in commanded}
        sender, queue = Sender(urls, bots), Queue(store)
        styles = RouteStyles(AlertsConfig(fleet="demo", state_dir=tmp_path), sender)
        outbox = Outbox(
            queue,
            sender,
            styles,
            tuple(urls),
            lambda: UNTIL,
            ChartDrawer(history, "en", None),
            RetryPolicy(send_timeout_seconds=110.0),
        )
        event = Event(Key("RankDrop", "sly_fox"), "firing", UNTIL, UNTIL, "warning", "")
        queue.add(Decision(tuple(RoutedEvent(route, event) for route in urls)), DeliveryState(), now=UNTIL)
        for route in urls:
            queue.post(route, "", [Message("RankDrop: sly_fox", "body", news=tuple(queue.waiting(route)))], UNTIL)
        asyncio.run(_deliver(outbox, lambda: bot_api.photos and mailbox.messages and webhook.messages))
        assert not any(queue.next_delivery(route) for route in urls)
    finally:
        store.close()
        webhook.close()
        mailbox.stop()
    assert bot_api.shown == [f"RankDrop: sly_fox{'' if commanded else chr(13)}\nbody"]
    assert PNG in bot_api.photos[0]
    ((name, image),) = mailbox.attachments[0]
    assert (name, _size(image)) == ("chart.png", (960, 540))
    assert len(bot_api.photos) == len(mailbox.messages) == len(webhook.messages) == 1


async def _deliver(outbox: Outbox, is_done: Callable[[], object]) -> None:
    outbox.start()
    end = time.monotonic() + 120
    while not is_done():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    await outbox.close(5)
