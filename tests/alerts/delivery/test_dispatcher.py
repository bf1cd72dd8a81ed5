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
from alerts.delivery.routing import Decision
from alerts.delivery.service_text import TextLimits
from alerts.delivery.silence_store import SilenceStore
from alerts.delivery.silences import AckRequest, SilenceRequest
from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState, Kind
from alerts.engine.status import Status
from alerts.messages.single import Message
from alerts.rules import Severity
from alerts.scraping.page import parse
from alerts.scraping.scraper import Scrape
from alerts.store import Store
from tests.alerts.conftest import sidecar_page

WORDS = ["sly", "furry", "fox", "amber", "quick", "otter", "snappy", "giraffe", "tall", "mute", "zealous", "hippo"]
QUIET = {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"}


class Paper(Sender):
    """A sender that sends nothing."""

    def __init__(self) -> None:
        self.limit = 3000
        self.bots = {}

    def limits(self, route: str) -> TextLimits:
        return TextLimits(180, self.limit, 0, len)

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

    def evaluate(
        self,
        *events: tuple[str, str, Kind],
        severity: Severity = "warning",
        evidence: str = "",
        fails: bool = False,
    ) -> None:
        """An evaluation in which these alerts changed, by rule and peer, whose commit may fail; then a dispatch."""
        happened = []
        for rule, peer, kind in events:
            key = Key(rule, peer)
            if kind == "resolved":
                self.states.pop(key, None)
            else:
                self.states[key] = AlertState("firing", severity, self.now, "bad")
            happened.append(Event(key, kind, self.now, self.now, severity, "bad", evidence))
        alert_states = AlertStates(dict(self.states))
        decision = self.dispatcher.decide(alert_states, happened, self.now)

        def write() -> None:
            self.dispatcher.write(decision)
            if fails:
                raise OSError("disk full")

        self.store.commit(AlertStates(), alert_states, [], write)
        self.dispatcher.accept(decision)
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
        return [message.title for message in self.take_messages(route)]

    def take_messages(self, route: str = "hook") -> list[Message]:
        messages = []
        while delivery := self.queue.next_delivery(route):
            messages.append(Message(delivery.message.title, delivery.message.body))
            self.queue.mark_delivered(delivery.id)
        return messages


@pytest.fixture
def watch(tmp_path: Path) -> Callable[..., Watch]:
    def make(**settings: Any) -> Watch:
        route = {"name": "hook", "url": "json://h", **settings.pop("route", {})}
        grouping = {"wait": "0s", "interval": "0s"}
        return Watch(tmp_path, **{"routes": [route], "grouping": grouping, **settings})

    return make


def test_quiet_hours_end_with_one_summary_across_restarts(watch: Callable[..., Watch]) -> None:
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
    assert night.take() == ["Quiet hours ended: 1 firing, 1 resolved, 1 fired and resolved"]
    night.at("2026-01-11T06:01").evaluate(("MemoryExceeded", "a", "resolved"))
    assert night.take() == ["Resolved: MemoryExceeded: a"]


def test_severities_that_bypass_quiet_hours_are_sent_at_night(watch: Callable[..., Watch]) -> None:
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
    assert summaries == [(_utc(morning), "Quiet hours ended: 1 firing")]


def test_alerts_still_firing_are_sent_when_a_silence_ends_after_a_restart_too(watch: Callable[..., Watch]) -> None:
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


def test_a_clock_set_back_or_forward_neither_repeats_nor_loses_a_notification(watch: Callable[..., Watch]) -> None:
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


def test_a_cause_inhibits_its_consequence_until_it_is_resolved(watch: Callable[..., Watch]) -> None:
    one = watch().at("2026-01-10T10:00")
    one.evaluate(("PeerDown", "a", "firing"), ("RankDrop", "a", "firing"), ("RankDrop", "b", "firing"))
    assert one.take() == ["PeerDown: a, RankDrop: b"]
    one.now += 60
    one.evaluate(("PeerDown", "a", "resolved"))
    assert one.take() == ["Resolved: PeerDown: a"]
    one.now += 119
    one.evaluate()
    assert one.take() == []
    one.now += 1
    one.evaluate()
    assert one.take() == ["RankDrop: a"]


def test_a_late_notification_has_the_evidence_of_its_start_after_a_restart_too(
    watch: Callable[..., Watch],
) -> None:
    one = watch(route={"after": "30m"}).at("2026-01-10T10:00")
    one.evaluate(("PeerStalled", "a", "firing"), ("PeerStalled", "b", "firing"), evidence="| linear.py:114 forward")
    assert one.take() == []
    one.restart()
    one.now += 1800
    one.states = {key: replace(state, fired_seconds=1800) for key, state in one.states.items()}
    one.evaluate()
    (message,) = one.take_messages()
    assert message.title == "PeerStalled: a, b"
    assert message.body.endswith(
        "\n\nPeerStalled: a\n| linear.py:114 forward\n\nPeerStalled: b\n| linear.py:114 forward"
    )
    one.evaluate(("PeerStalled", "a", "resolved"), ("PeerStalled", "b", "resolved"))
    assert one.queue.load_state().evidence == {}


@pytest.mark.parametrize("straddle", [1, 15, 25])
def test_a_storm_of_300_peers_and_their_host_is_three_messages_that_name_them_all(
    watch: Callable[..., Watch], straddle: int
) -> None:
    chance = random.Random(5)
    peers = sorted({"_".join(chance.choices(WORDS, k=3)) for _ in range(320)})[:300]
    chance.shuffle(peers)
    first, second = peers[:170], peers[170:]
    one = watch(grouping={}, interval="15s").at("2026-01-10T10:00")
    one.paper.limit = 3500

    def storm(kind: Kind) -> list[Message]:
        host = [("HostMemoryPressure", "rig", kind)]
        one.evaluate(*host, *((rule, peer, kind) for rule in ("OffBoard", "PeerDown") for peer in first))
        one.pass_seconds(straddle)
        one.evaluate(*((rule, peer, kind) for rule in ("PeerDown", "SourceDown") for peer in second))
        one.pass_seconds(15)
        one.evaluate(*(("SourceDown", peer, kind) for peer in first), ("DiskLow", "rig", kind))
        one.pass_seconds(600)
        return one.take_messages()

    for kind in ("firing", "resolved"):
        messages = storm(kind)
        assert len(messages) <= 3, [(x.title, len(x.body)) for x in messages]
        text = "\n".join(message.body for message in messages)
        assert set(peers) <= set(re.split(r", |\n", text))
        assert "HostMemoryPressure" in messages[0].title
        assert all(len(escape(message.body)) <= 3500 for message in messages)


def test_after_a_failed_commit_the_next_evaluation_notifies_of_all_that_the_first_one_would_have(
    watch: Callable[..., Watch],
) -> None:
    one = watch().at("2026-01-10T10:00")
    one.evaluate(("PeerDown", "a", "firing"), ("RankDrop", "a", "firing"), ("RankDrop", "c", "firing"))
    one.silence_store.acknowledge(AckRequest(rule="RankDrop", peer="c"), [Key("RankDrop", "c")])
    assert one.take() == ["PeerDown: a, RankDrop: c"]
    ended = (("PeerDown", "a", "resolved"), ("RankDrop", "c", "resolved"), ("MemoryExceeded", "b", "firing"))
    with pytest.raises(OSError, match="disk full"):
        one.evaluate(*ended, evidence="| swap", fails=True)
    assert one.take() == []
    assert one.silence_store.acknowledged == {Key("RankDrop", "c")}
    one.now += 15
    one.evaluate(*ended, evidence="| swap")
    (end, begin) = sorted(one.take_messages(), key=lambda message: message.title, reverse=True)
    assert end.title == "Resolved: PeerDown: a, RankDrop: c"
    assert begin.title == "MemoryExceeded: b"
    assert "| swap" in begin.body
    assert one.silence_store.acknowledged == frozenset()
    one.now += 119
    one.evaluate()
    assert one.take() == []
    one.now += 1
    one.evaluate()
    assert one.take() == ["RankDrop: a"]


def test_it_stops_when_cancelled_although_news_arrives_at_that_moment(watch: Callable[..., Watch]) -> None:
    one = watch().at("2026-01-10T10:00")

    async def run() -> None:
        task = asyncio.create_task(one.dispatcher.run(lambda: Status("demo")))
        await asyncio.sleep(0.01)
        one.dispatcher.accept(Decision())
        task.cancel()
        _, pending = await asyncio.wait([task], timeout=60)
        assert not pending

    asyncio.run(run())


def test_the_digest_comes_once_a_day_across_restarts_and_clocks_put_back(watch: Callable[..., Watch]) -> None:
    one = watch(digest="08:00")
    page = parse(sidecar_page())
    down = parse(sidecar_page(up=0))

    def digest_at(time: str) -> list[str]:
        one.at(time)
        one.restart()
        status = Status("demo", one.now, {"a": Scrape(page), "b": Scrape(down)})
        one.dispatcher.send_digest(status, one.now)
        delivery = one.queue.next_delivery("hook")
        if delivery is not None:
            assert delivery.message.body.splitlines()[0] == "1 of 2 peers up."
            assert "No alerts firing." in delivery.message.body
        return one.take()

    assert digest_at("2026-01-10T10:00") == []
    assert digest_at("2026-01-11T06:59") == []
    assert digest_at("2026-01-11T07:00") == ["Daily summary: demo"]
    assert digest_at("2026-01-11T07:01") == []
    assert digest_at("2026-01-11T06:30") == []
    assert digest_at("2026-01-11T07:02") == []
    assert digest_at("2026-01-12T14:00") == []  # too late to be useful
    assert digest_at("2026-01-13T07:30") == ["Daily summary: demo"]


def test_a_summary_that_another_watcher_sent_is_not_sent_again(watch: Callable[..., Watch]) -> None:
    one = watch(digest="08:00").at("2026-01-10T10:00")
    status = Status("demo", one.now, {"a": Scrape(parse(sidecar_page()))})
    one.dispatcher.send_digest(status, one.now)
    one.at("2026-01-11T07:00").dispatcher.skip_digest(one.now)
    one.at("2026-01-11T07:30").dispatcher.send_digest(status, one.now)
    assert one.take() == []
    one.at("2026-01-12T07:00").dispatcher.skip_digest(one.now - 7200)
    one.dispatcher.send_digest(status, one.now)
    assert one.take() == ["Daily summary: demo"]


def test_of_what_another_watcher_watches_nothing_is_sent_and_of_the_rest_all(watch: Callable[..., Watch]) -> None:
    one = watch().at("2026-01-10T10:00")
    one.dispatcher.leave("a".__eq__)
    one.evaluate(("PeerDown", "a", "firing"), ("PeerDown", "b", "firing"))
    assert one.take() == ["PeerDown: b"]
    one.evaluate(("PeerDown", "a", "resolved"), ("PeerDown", "b", "resolved"))
    assert one.take() == ["Resolved: PeerDown: b"]
    assert one.dispatcher.ended == {Key("PeerDown", "a")}
    one.evaluate(("PeerDown", "a", "firing"))
    one.dispatcher.leave(None)
    one.evaluate()
    assert one.take() == ["PeerDown: a"]


def test_what_was_delivered_is_told_apart_from_what_waits(watch: Callable[..., Watch]) -> None:
    one = watch().at("2026-01-10T10:00")
    one.evaluate(("PeerDown", "a", "firing"))
    one.take()
    one.evaluate(("PeerDown", "a", "resolved"), ("PeerDown", "b", "firing"))
    delivered, unsent = one.dispatcher.delivered()
    assert delivered == {"hook": {Key("PeerDown", "a")}}
    assert [(event.key, event.kind) for event in unsent] == [(Key("PeerDown", "a"), "resolved")]


def test_what_another_watcher_told_meanwhile_takes_the_place_of_what_waited(watch: Callable[..., Watch]) -> None:
    one = watch().at("2026-01-10T10:00")
    one.evaluate(("PeerDown", "a", "firing"), ("PeerDown", "b", "firing"))
    one.dispatcher.adopt({"hook": frozenset({Key("PeerDown", "a")})})
    one.restart()
    one.evaluate()
    assert one.take() == ["PeerDown: b"]
    one.evaluate(("PeerDown", "a", "resolved"))
    assert one.take() == ["Resolved: PeerDown: a"]
