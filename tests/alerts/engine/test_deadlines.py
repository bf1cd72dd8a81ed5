"""The loop checks a peer when time alone changes its state, and a clock that jumps lets no time pass."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.config import AlertsConfig
from alerts.delivery.apprise_sender import Sender
from alerts.delivery.dispatcher import Dispatcher
from alerts.delivery.outbox import Outbox
from alerts.delivery.queue import Queue
from alerts.delivery.route_style import RouteStyles
from alerts.delivery.silence_store import SilenceStore
from alerts.engine.deadlines import CHECK_AFTER_SECONDS, MAX_CHECKS, Deadlines
from alerts.engine.evaluate import ActiveRule, AlertStates, Key, evaluate
from alerts.engine.state import AlertState, Moment
from alerts.loop import Loop
from alerts.rules import View, discover
from alerts.scraping.page import parse
from alerts.store import Store
from tests.alerts.conftest import AlertLoop, Sidecar, sidecar_page
from tests.fakes import Webhook, wait_for

NOW = 1_700_000_000.0
STALL_AFTER = 30.0


class Watched:
    """A loop over sidecars whose trainers made their last step at `last_step`; time is the test's."""

    def __init__(self, folder: Path, urls: dict[str, str], **settings: Any) -> None:
        self.wall = self.steady = NOW
        self.last_step = NOW - 1
        self._runner = asyncio.Runner()
        config = AlertsConfig.model_validate(
            {
                "fleet": "test",
                "state_dir": folder,
                "targets": [{"peer": peer, "url": url} for peer, url in urls.items()],
                "rules": {name: {"enabled": False} for name in ("DiskLow", "HostMemoryPressure")},
                **settings,
            }
        )
        store, sender = Store(folder / "alerts.sqlite"), Sender({})
        queue, styles = Queue(store), RouteStyles(config, sender)
        outbox = Outbox(queue, sender, styles, (), lambda: self.steady)
        dispatcher = Dispatcher(config, queue, SilenceStore(store), styles, outbox, lambda: self.steady)
        self._store = store
        self.loop = Loop(config, store, dispatcher, outbox, styles, lambda: self.steady, lambda: self.wall)

    def page(self) -> str:
        return sidecar_page(
            self.wall, started=NOW - 9e5, phase_start=NOW - 8e5, last_step=self.last_step, stall_after=STALL_AFTER
        )

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def check_all(self) -> list[tuple[str, str, str]]:
        """Kind, rule and peer of all events so far, after another round."""
        self._runner.run(self.loop.check_all())
        return self._events()

    def check_due(self, seconds: float = 10.0) -> list[tuple[str, str, str]]:
        """The same, after a check of those that are due."""
        self._runner.run(self.loop.check_due(seconds))
        return self._events()

    def event_times(self) -> list[float]:
        return [event["at"] for event in self._store.events(1000)]

    def close(self) -> None:
        stop = asyncio.Event()
        stop.set()
        self._runner.run(self.loop.run(stop))
        self._runner.close()
        self._store.close()

    def _events(self) -> list[tuple[str, str, str]]:
        return [(event["kind"], event["rule"], event["peer"]) for event in self._store.events(1000)]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    made = []

    def make(urls: dict[str, str], **settings: Any) -> Watched:
        made.append(Watched(tmp_path, urls, **settings))
        return made[-1]

    yield make
    for watched in made:
        watched.close()


@pytest.fixture
def watched(sidecar: Sidecar, watch: Callable[..., Watched]) -> Watched:
    watched = watch({"a": sidecar.url})
    sidecar.page = watched.page
    return watched


STALLED = ("firing", "PeerStalled", "a")


def test_a_stall_is_notified_at_its_deadline_although_the_next_round_is_far(
    make_loop: Callable[..., AlertLoop], sidecar: Sidecar
) -> None:
    webhook = Webhook()
    try:
        loop = make_loop({"a": sidecar}, {"hook": webhook.url}, interval="300s")
        stalls_at = time.time() + 8
        sidecar.serve(last_step=stalls_at - 60, phase_start=stalls_at - 90, stall_after=60)
        loop.start()
        wait_for(lambda: webhook.messages, 20, "the alert", every=0.005)
        assert 0 < time.time() - stalls_at < 150
    finally:
        webhook.close()


def test_a_peer_that_steps_in_time_is_checked_and_raises_no_alert(
    make_loop: Callable[..., AlertLoop], sidecar: Sidecar
) -> None:
    scraped_at: list[float] = []

    def page() -> str:
        scraped_at.append(time.time())
        return sidecar_page(stall_after=2)

    sidecar.page = page
    loop = make_loop({"a": sidecar}, interval="300s")
    loop.start()
    wait_for(lambda: len(scraped_at) >= 4, 20, "checks at the peer's deadlines")
    gaps = [after - before for before, after in itertools.pairwise(scraped_at)]
    assert min(gaps) > 0.5
    assert not loop.firing()


def test_a_check_before_the_deadline_fires_nothing_and_one_after_it_does(watched: Watched) -> None:
    assert watched.check_all() == []
    watched.advance(STALL_AFTER - 1)
    assert watched.check_due() == []
    watched.advance(CHECK_AFTER_SECONDS)
    assert watched.check_due() == [STALLED]


def test_a_peer_that_stepped_meanwhile_is_due_a_whole_allowance_later(watched: Watched) -> None:
    watched.check_all()
    watched.advance(STALL_AFTER)
    watched.last_step = watched.wall - 4
    assert watched.check_due() == []
    watched.advance(STALL_AFTER - 5)
    assert watched.check_due() == []
    watched.advance(2)
    assert watched.check_due() == [STALLED]


def test_a_stall_is_resolved_when_its_duration_ends(watched: Watched) -> None:
    watched.last_step = NOW - STALL_AFTER - 1
    assert watched.check_all() == [STALLED]
    watched.advance(15)
    watched.last_step = watched.wall
    watched.check_all()
    watched.advance(14)
    assert watched.check_due() == [STALLED]
    watched.advance(1.1)
    assert watched.check_due() == [STALLED, ("resolved", "PeerStalled", "a")]


def test_peers_that_fall_due_together_are_one_check_and_one_transaction(
    sidecar: Sidecar, watch: Callable[..., Watched]
) -> None:
    peers = [f"peer-{number}" for number in range(300)]
    watched = watch(dict.fromkeys(peers, sidecar.url), timeout="60s")
    sidecar.page = watched.page
    watched.check_all()
    watched.advance(STALL_AFTER)
    events = watched.check_due(60)
    assert {peer for _, _, peer in events} == set(peers)
    assert len(set(watched.event_times())) == 1


def test_a_problem_that_begins_in_the_middle_of_a_round_fires_for_all_peers_together(
    sidecar: Sidecar, watch: Callable[..., Watched]
) -> None:
    peers = [f"peer-{number}" for number in range(30)]
    watched = watch(dict.fromkeys(peers, sidecar.url), rules={"PeerDown": {"for": "0s"}})
    sidecar.page = watched.page
    watched.check_all()
    asked = itertools.count()
    sidecar.page = lambda: sidecar_page(watched.wall, up=int(next(asked) < 12))
    events = watched.check_all()
    assert sorted(events) == sorted(("firing", "PeerDown", peer) for peer in peers)


def test_a_slow_sidecar_delays_none_that_is_due_with_it(sidecar: Sidecar, watch: Callable[..., Watched]) -> None:
    slow, gate = Sidecar(), threading.Event()
    try:
        watched = watch({"slow": slow.url, "a": sidecar.url})
        sidecar.page = slow.page = watched.page
        watched.check_all()
        slow.page = lambda: watched.page() if gate.wait(300) else ""
        watched.advance(STALL_AFTER)
        assert watched.check_due(2.0) == [STALLED]
        gate.set()
        assert watched.check_all() == [STALLED, ("firing", "PeerStalled", "slow")]
    finally:
        gate.set()
        slow.close()


def test_the_host_is_judged_in_rounds_only(sidecar: Sidecar, watch: Callable[..., Watched]) -> None:
    watched = watch({"a": sidecar.url}, rules={"Watchdog": {"enabled": True, "for": "10s"}})
    sidecar.page = watched.page
    watched.check_all()
    watched.advance(STALL_AFTER)
    assert watched.check_due() == [STALLED]
    assert [rule for _, rule, _ in watched.check_all()] == ["PeerStalled", "Watchdog"]


def test_a_check_and_a_round_count_the_elapsed_time_once(watched: Watched, sidecar: Sidecar) -> None:
    """PeerDown holds for 30 s; the check at 20 s and the round at 25 s must not add up to 45 s."""
    sidecar.page = lambda: sidecar_page(watched.wall)
    watched.check_all()
    sidecar.page = lambda: sidecar_page(watched.wall, up=0)
    watched.check_all()
    for _ in range(5):
        watched.advance(5)
        assert watched.check_all() == []
    watched.advance(5.1)
    assert watched.check_due() == [("firing", "PeerDown", "a")]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_raises_no_alert_and_loses_none(watched: Watched, hours: int) -> None:
    assert watched.check_all() == []
    watched.wall += 3600 * hours
    # The trainer hangs since its last step; how long ago that was is unknown.
    for _ in range(2):
        watched.advance(14)
        assert watched.check_all() == []
    watched.advance(STALL_AFTER)
    assert watched.check_due() == [STALLED]
    # After the hour the page's times are in the past again; the stall still fires.
    watched.advance(3600)
    assert watched.check_all() == [STALLED]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_peer_that_keeps_stepping_after_the_clock_was_set_raises_no_alert(watched: Watched, hours: int) -> None:
    assert watched.check_all() == []
    watched.wall += 3600 * hours
    for _ in range(300):
        watched.advance(15)
        watched.last_step = watched.wall - 2
        assert watched.check_all() == []
    watched.advance(STALL_AFTER - 1)
    assert watched.check_due() == [STALLED]


def test_a_machine_that_slept_all_night_raises_no_alert_and_sees_the_next_stall(watched: Watched) -> None:
    assert watched.check_all() == []
    watched.wall += 8 * 3600
    watched.advance(1)
    assert watched.check_all() == []
    watched.advance(STALL_AFTER - 1)
    assert watched.check_all() == []
    watched.last_step = watched.wall
    watched.advance(15)
    assert watched.check_all() == []
    watched.advance(16)
    assert watched.check_due() == [STALLED]


def test_a_sleep_adds_little_to_how_long_a_condition_held(watched: Watched, sidecar: Sidecar) -> None:
    sidecar.page = lambda: sidecar_page(watched.wall, footprint=5 * 2**30)
    watched.check_all()
    watched.wall += 8 * 3600
    watched.advance(1)
    assert watched.check_all() == []
    watched.advance(14.1)
    assert watched.check_due() == [("firing", "MemoryExceeded", "a")]


def test_a_clock_that_was_set_makes_no_start_late(watched: Watched, sidecar: Sidecar) -> None:
    """A trainer that waits for its turn to be started, for ten minutes at most."""
    sidecar.page = lambda: sidecar_page(watched.wall, up=0)
    for hours in (1, -2):
        watched.check_all()
        watched.wall += 3600 * hours
        watched.advance(40)
        assert watched.check_all() == []
        watched.advance(40)
        assert watched.check_all() == []


def _due(rule: str, view: View, state: AlertState | None = None, **settings: str) -> float | None:
    """When the peer is due after an evaluation of one rule."""
    found = discover()[rule]
    active = ActiveRule(rule, found, found.settings.model_validate(settings))
    before = AlertStates({Key(rule, view.peer): state} if state else {})
    after, _ = evaluate([view], [active], before, Moment(NOW, 1.0), reminder_seconds=0)
    return after.due.get(view.peer)


def test_an_alert_is_due_when_its_duration_ends() -> None:
    durations = {"for": "20s", "recover_after": "9s"}
    full, empty = (View("a", NOW, parse(sidecar_page(NOW, footprint=gib * 2**30))) for gib in (5, 1))
    assert _due("MemoryExceeded", full, **durations) == NOW + 20
    assert _due("MemoryExceeded", full, AlertState("pending", "critical", NOW, "", 4.0), **durations) == NOW + 15
    firing = AlertState("firing", "critical", NOW, "", 30.0)
    assert _due("MemoryExceeded", full, firing, **durations) is None
    assert _due("MemoryExceeded", empty, firing, **durations) == NOW + 9
    assert _due("MemoryExceeded", empty, **durations) is None
    # A read that failed lets no time count, so nothing falls due either.
    assert _due("MemoryExceeded", View("a", NOW), AlertState("pending", "critical", NOW, ""), **durations) is None


def test_a_quiet_peer_is_due_when_its_silence_becomes_a_stall() -> None:
    def due(**changes: float | str | None) -> float | None:
        return _due("PeerStalled", View("a", NOW, parse(sidecar_page(NOW, last_step=NOW - 20, **changes))))

    assert due() == NOW + 10
    assert due(phase_start=NOW - 5) == NOW + 25
    assert due(up=0) is None
    assert due(up=None) is None


def test_a_silent_sidecar_is_due_when_its_peer_counts_as_down() -> None:
    assert _due("PeerDown", View("a", NOW, unreachable_seconds=12.0)) == NOW + 48


def test_a_check_takes_all_that_are_due_and_a_page_that_names_ever_new_deadlines_is_left_to_the_round() -> None:
    deadlines = Deadlines()
    assert deadlines.seconds_left(NOW) is None
    deadlines.begin_round({"a": NOW + 5.0, "b": NOW + 3.0, "c": NOW + 3.01})
    assert deadlines.seconds_left(NOW) == pytest.approx(3.0 + CHECK_AFTER_SECONDS)
    assert deadlines.take(NOW + 3.0) == set()
    assert deadlines.take(NOW + 3.05) == {"b", "c"}
    assert deadlines.take(NOW + 3.05) == set()
    for _ in range(MAX_CHECKS - 1):
        deadlines.update(["b"], {"b": NOW})
        assert deadlines.take(NOW + 4) == {"b"}
    deadlines.update(["b"], {"b": NOW})
    assert deadlines.take(NOW + 4) == set()
    deadlines.begin_round({"b": NOW})
    assert deadlines.take(NOW + 4) == {"b"}
