"""From evaluations to notifications, with nights passing in milliseconds and restarts in between."""

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import pytest

from alerts.config import AlertsConfig
from alerts.delivery.apprise_sender import Sender
from alerts.delivery.dispatcher import Dispatcher
from alerts.delivery.outbox import Outbox
from alerts.delivery.outcome import DeliveryResult
from alerts.delivery.queue import Queue
from alerts.delivery.route_style import RouteStyles
from alerts.delivery.silence_store import SilenceStore
from alerts.delivery.silences import SilenceRequest
from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState, Kind
from alerts.engine.status import Status
from alerts.messages.grouped import Letter
from alerts.messages.single import Message
from alerts.rules import Severity
from alerts.scraping.page import parse
from alerts.scraping.scraper import Scrape
from alerts.store import Store
from tests.alerts.conftest import sidecar_page

WORDS = ["sly", "furry", "fox", "amber", "quick", "otter", "snappy", "giraffe", "tall", "mute", "zealous", "hippo"]
QUIET = {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"}


class Paper(Sender):
    """A sender that nothing is sent with."""

    def __init__(self) -> None:
        self.limit = 3000
        self.bots = {}

    def body_limit(self, route: str) -> int:
        return self.limit

    def html_limit(self, route: str) -> int:
        return 0

    def send(self, route: str, message: Message) -> DeliveryResult:
        raise AssertionError


def _utc(text: str) -> float:
    return datetime.fromisoformat(text + "+00:00").timestamp()


class Watch:
    """A dispatcher on a database; `now` is both clocks."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._path = folder / "alerts.sqlite"
        targets = [{"peer": peer, "url": "http://h/"} for peer in "ab"]
        content = {"fleet": "demo", "state_dir": folder, "targets": targets, "timezone": "Europe/Berlin", **settings}
        self._config = AlertsConfig.model_validate(content)
        self.now = 0.0
        self.states: dict[Key, AlertState] = {}
        self.start()

    def start(self) -> None:
        self.store = Store(self._path)
        self.queue, self.silence_store = Queue(self.store), SilenceStore(self.store)
        self.paper = Paper()
        styles = RouteStyles(self._config, self.paper)
        outbox = Outbox(self.queue, self.paper, styles, (), lambda: self.now)
        self.dispatcher = Dispatcher(self._config, self.queue, self.silence_store, styles, outbox, lambda: self.now)

    def restart(self) -> None:
        self.store.close()
        self.start()

    def evaluate(self, *events: tuple[str, str, Kind], severity: Severity = "warning", evidence: str = "") -> None:
        """An evaluation in which these alerts changed, by rule and peer; then what is due is made."""
        happened = []
        for rule, peer, kind in events:
            key = Key(rule, peer)
            if kind == "resolved":
                self.states.pop(key, None)
            else:
                self.states[key] = AlertState("firing", severity, self.now, "bad")
            happened.append(Event(key, kind, self.now, self.now, severity, "bad", evidence))
        alert_states = AlertStates(dict(self.states))
        write = self.dispatcher.queue(alert_states, happened, self.now)
        self.store.commit(AlertStates(), alert_states, [], write)
        self.dispatcher.settle()
        self.dispatcher.dispatch(self.now)

    def at(self, time: str) -> "Watch":
        self.now = _utc(time)
        return self

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.dispatcher.dispatch(self.now)

    def take(self, route: str = "hook") -> list[str]:
        """The titles of what would be sent now."""
        return [letter.title for letter in self.take_letters(route)]

    def take_letters(self, route: str = "hook") -> list[Letter]:
        letters = []
        while delivery := self.queue.next_delivery(route):
            letters.append(Letter(delivery.message.title, delivery.message.body))
            self.queue.mark_delivered(delivery.id)
        return letters


@pytest.fixture
def watch(tmp_path: Path) -> Callable[..., Watch]:
    def make(**settings: Any) -> Watch:
        route = {"name": "hook", "url": "json://h", **settings.pop("route", {})}
        grouping = {"wait": "0s", "interval": "0s"}
        return Watch(tmp_path, **{"routes": [route], "grouping": grouping, **settings})

    return make


def test_a_night_is_told_in_one_summary_at_its_end_across_restarts(watch: Callable[..., Watch]) -> None:
    night = watch(route={"quiet": QUIET})
    night.at("2026-01-10T20:59").evaluate(("RankDrop", "b", "firing"))
    assert night.take() == ["RankDrop: b"]
    night.at("2026-01-10T21:01").evaluate(("PeerStalled", "a", "firing"))
    night.at("2026-01-10T22:00").evaluate(("PeerStalled", "a", "resolved"), ("RankDrop", "b", "resolved"))
    night.at("2026-01-10T23:00").evaluate(("MemoryExceeded", "a", "firing"))
    night.restart()
    night.at("2026-01-11T05:59").evaluate()
    assert night.take() == []
    assert night.queue.count_deliveries()["hook"]["held"] == 4
    night.at("2026-01-11T06:00").evaluate()
    assert night.take() == ["The quiet hours are over: 1 firing, 1 recovered, 1 fired and recovered"]
    night.at("2026-01-11T06:01").evaluate(("MemoryExceeded", "a", "resolved"))
    assert night.take() == ["Recovered: MemoryExceeded: a"]


def test_what_is_severe_enough_is_told_at_night(watch: Callable[..., Watch]) -> None:
    night = watch(route={"quiet": QUIET})
    night.at("2026-01-10T23:00").evaluate(("PeerDown", "a", "firing"), severity="critical")
    assert night.take() == ["PeerDown: a"]
    night = watch(route={"quiet": {**QUIET, "bypass": []}})
    night.at("2026-01-10T23:30").evaluate(("PeerDown", "b", "firing"), severity="critical")
    assert night.take() == []


@pytest.mark.parametrize(
    ("evening", "morning"), [("2026-03-28T21:00", "2026-03-29T05:00"), ("2026-10-24T20:00", "2026-10-25T06:00")]
)
def test_there_is_one_summary_on_the_nights_when_the_clocks_change(
    watch: Callable[..., Watch], evening: str, morning: str
) -> None:
    night = watch(route={"quiet": QUIET})
    night.at(evening).evaluate(("RankDrop", "a", "firing"))
    summaries = []
    while night.now < _utc(morning) + 7200:
        night.now += 900
        night.evaluate()
        summaries += [(night.now, title) for title in night.take()]
    assert summaries == [(_utc(morning), "The quiet hours are over: 1 firing")]


def test_a_silence_that_ends_lets_what_still_fires_be_told_after_a_restart_too(watch: Callable[..., Watch]) -> None:
    one = watch().at("2026-01-10T10:00")
    one.silence_store.silence(SilenceRequest.model_validate({"peer": "a", "lasts": "1h"}), one.now)
    one.evaluate(("RankDrop", "a", "firing"), ("RankDrop", "b", "firing"))
    assert one.take() == ["RankDrop: b"]
    one.restart()
    one.at("2026-01-10T10:59").evaluate()
    assert one.take() == []
    one.at("2026-01-10T11:00").evaluate()
    assert one.take() == ["RankDrop: a"]
    one.restart()
    one.evaluate()
    assert one.take() == []


def test_a_clock_that_is_put_back_or_forward_neither_repeats_nor_loses(watch: Callable[..., Watch]) -> None:
    one = watch(grouping={"wait": "2s", "interval": "30s"})
    one.at("2026-01-10T10:00").evaluate(("RankDrop", "a", "firing"))
    one.restart()
    one.at("2026-01-10T09:00").evaluate()
    assert one.take() == ["RankDrop: a"]
    one.at("2026-01-10T11:00").evaluate(("RankDrop", "b", "firing"))
    assert one.take() == []
    one.now += 2
    one.evaluate()
    assert one.take() == ["RankDrop: b"]


def test_a_cause_hides_its_consequence_until_it_is_gone(watch: Callable[..., Watch]) -> None:
    one = watch().at("2026-01-10T10:00")
    one.evaluate(("PeerDown", "a", "firing"), ("RankDrop", "a", "firing"), ("RankDrop", "b", "firing"))
    assert one.take() == ["PeerDown: a, RankDrop: b"]
    one.now += 60
    one.evaluate(("PeerDown", "a", "resolved"))
    assert one.take() == ["Recovered: PeerDown: a"]
    one.now += 119
    one.evaluate()
    assert one.take() == []
    one.now += 1
    one.evaluate()
    assert one.take() == ["RankDrop: a"]


def test_who_is_told_late_is_given_the_evidence_of_the_beginning_after_a_restart_too(
    watch: Callable[..., Watch],
) -> None:
    one = watch(route={"after": "30m"}).at("2026-01-10T10:00")
    one.evaluate(("PeerStalled", "a", "firing"), ("PeerStalled", "b", "firing"), evidence="| linear.py:114 forward")
    assert one.take() == []
    one.restart()
    one.now += 1800
    one.states = {key: replace(state, fired_seconds=1800) for key, state in one.states.items()}
    one.evaluate()
    (letter,) = one.take_letters()
    assert letter.title == "PeerStalled: a, b"
    assert letter.body.endswith(
        "\n\nPeerStalled: a\n| linear.py:114 forward\n\nPeerStalled: b\n| linear.py:114 forward"
    )
    one.evaluate(("PeerStalled", "a", "resolved"), ("PeerStalled", "b", "resolved"))
    assert one.queue.evidence() == {}


@pytest.mark.parametrize("straddle", [1, 15, 25])
def test_a_storm_of_300_peers_and_their_host_is_three_messages_that_name_them_all(
    watch: Callable[..., Watch], straddle: int
) -> None:
    chance = random.Random(5)
    peers = sorted({"_".join(chance.choices(WORDS, k=3)) for _ in range(320)})[:300]
    chance.shuffle(peers)
    first, second = peers[:170], peers[170:]
    one = watch(grouping={}, interval_seconds=15).at("2026-01-10T10:00")
    one.paper.limit = 3500

    def storm(kind: Kind) -> list[Letter]:
        host = [("HostMemoryPressure", "rig", kind)]
        one.evaluate(*host, *((rule, peer, kind) for rule in ("OffBoard", "PeerDown") for peer in first))
        one.pass_seconds(straddle)
        one.evaluate(*((rule, peer, kind) for rule in ("PeerDown", "SourceDown") for peer in second))
        one.pass_seconds(15)
        one.evaluate(*(("SourceDown", peer, kind) for peer in first), ("DiskLow", "rig", kind))
        one.pass_seconds(600)
        return one.take_letters()

    for kind in ("firing", "resolved"):
        letters = storm(kind)
        assert len(letters) <= 3, [(x.title, len(x.body)) for x in letters]
        text = "\n".join(letter.body for letter in letters)
        assert set(peers) <= set(re.split(r", |\n", text))
        assert "HostMemoryPressure" in letters[0].title
        assert all(len(escape(letter.body)) <= 3500 for letter in letters)


def test_it_ends_when_told_to_although_news_comes_at_that_instant(watch: Callable[..., Watch]) -> None:
    one = watch().at("2026-01-10T10:00")

    async def run() -> None:
        task = asyncio.create_task(one.dispatcher.run(lambda: Status("demo")))
        await asyncio.sleep(0.01)
        one.dispatcher.settle()
        task.cancel()
        _, pending = await asyncio.wait([task], timeout=60)
        assert not pending

    asyncio.run(run())


def test_the_digest_comes_once_a_day_across_restarts_and_clocks_put_back(watch: Callable[..., Watch]) -> None:
    one = watch(digest="08:00")
    page = parse(sidecar_page())
    down = parse(sidecar_page(up=0))

    def look(time: str) -> list[str]:
        one.at(time)
        one.restart()
        status = Status("demo", one.now, {"a": Scrape(page), "b": Scrape(down)})
        one.dispatcher.send_digest(status, one.now)
        delivery = one.queue.next_delivery("hook")
        if delivery is not None:
            assert delivery.message.body.splitlines()[0] == "1 of 2 peers run."
            assert "Nothing fires." in delivery.message.body
        return one.take()

    assert look("2026-01-10T10:00") == []
    assert look("2026-01-11T06:59") == []
    assert look("2026-01-11T07:00") == ["Daily summary: demo"]
    assert look("2026-01-11T07:01") == []
    assert look("2026-01-11T06:30") == []
    assert look("2026-01-11T07:02") == []
    assert look("2026-01-12T14:00") == []  # too late to be of use
    assert look("2026-01-13T07:30") == ["Daily summary: demo"]
