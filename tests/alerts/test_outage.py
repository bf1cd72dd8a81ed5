"""The connection is down for hours: events wait, become one summary, and are sent once."""

import asyncio
import re
from pathlib import Path

from alerts.config import AlertsConfig
from alerts.delivery.apprise_sender import Sender
from alerts.delivery.dispatcher import Dispatcher
from alerts.delivery.outbox import Outbox
from alerts.delivery.outcome import DeliveryResult
from alerts.delivery.queue import Queue
from alerts.delivery.route_style import RouteStyles
from alerts.delivery.service_text import TextLimits
from alerts.delivery.silence_store import SilenceStore
from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState, Kind
from alerts.messages.single import Message
from alerts.store import Store

ROUTES = ("phone", "mail", "hook")
HOURS = 4


class World(Sender):
    """Services behind a network that can be down, and the clock."""

    def __init__(self) -> None:
        self.bots = {}
        self.now = 1_700_000_000.0
        self.is_down = False
        self.attempts = 0
        self.arrived: dict[str, list[Message]] = {route: [] for route in ROUTES}

    def limits(self, route: str) -> TextLimits:
        return TextLimits(180, 3500, 0, len)

    def send(self, route: str, message: Message) -> DeliveryResult:
        self.attempts += 1
        if self.is_down:
            return DeliveryResult(False, "the network is unreachable")
        self.arrived[route].append(message)
        return DeliveryResult(True)


class Loop:
    """What the alert loop does between its scrapes, minute by minute."""

    def __init__(self, world: World, folder: Path) -> None:
        routes = [{"name": route, "url": "json://h"} for route in ROUTES]
        config = AlertsConfig.model_validate({"fleet": "demo", "state_dir": folder, "routes": routes})
        self._world = world
        self._store = Store(folder / "alerts.sqlite")
        self.queue = Queue(self._store)
        styles = RouteStyles(config, world)
        self.outbox = Outbox(self.queue, world, styles, ROUTES, lambda: world.now)
        self._dispatcher = Dispatcher(
            config, self.queue, SilenceStore(self._store), styles, self.outbox, lambda: world.now
        )
        self._states: dict[Key, AlertState] = {}

    async def minute(self, *changes: tuple[str, Kind]) -> None:
        """These peers go down, or come back; then a minute passes."""
        events = []
        for peer, kind in changes:
            key = Key("PeerDown", peer)
            if kind == "firing":
                self._states[key] = AlertState("firing", "critical", self._world.now, "Gone.")
            else:
                self._states.pop(key)
            events.append(Event(key, kind, self._world.now, self._world.now, "critical", "Gone."))
        alert_states = AlertStates(dict(self._states))
        decision = self._dispatcher.decide(alert_states, events, self._world.now)
        self._store.commit(AlertStates(), alert_states, [], lambda: self._dispatcher.write(decision))
        self._dispatcher.accept(decision)
        self._world.now += 60
        self._dispatcher.dispatch(self._world.now)
        self.outbox.expire()
        self.outbox.wake()
        # Attempts take no time by this clock, however long their threads do.
        async with asyncio.timeout(60):
            while any(one.is_sending or one._is_woken.is_set() for one in self.outbox._workers.values()):
                await asyncio.sleep(0.001)

    def close(self) -> None:
        self._store.close()


async def _live(world: World, loop: Loop) -> None:
    loop.outbox.start()
    await loop.minute(("before", "firing"))
    await loop.minute()
    world.is_down = True
    for number in range(HOURS * 60):
        if number % 30 == 0:
            await loop.minute((f"peer-{number:03}", "firing"))
        elif number % 30 == 10 and number >= 60:
            await loop.minute((f"peer-{number - 10:03}", "resolved"))
        else:
            await loop.minute()
    world.is_down = False
    for _ in range(30):
        await loop.minute()
    await loop.outbox.close(5)


def test_after_hours_without_a_network_each_route_gets_everything_once(tmp_path: Path) -> None:
    world = World()
    loop = Loop(world, tmp_path)
    try:
        asyncio.run(_live(world, loop))
        assert not any(loop.queue.next_delivery(route) for route in ROUTES)
    finally:
        loop.close()
    peers = {f"peer-{number:03}" for number in range(0, HOURS * 60, 30)}
    for route, (first, *rest) in world.arrived.items():
        assert first.title == "PeerDown: before"
        assert 1 <= len(rest) <= 2, route
        sent = re.findall(r"^(Resolved: )?PeerDown: (peer-\d+)\.", "\n".join(one.body for one in rest), re.MULTILINE)
        assert len(sent) == len(set(sent))
        assert {peer for _, peer in sent} == peers
        assert "resolved" in rest[0].title
    # Back-off: the longest pause is five minutes.
    assert world.attempts <= len(ROUTES) * (HOURS * 60 / 4 + 20)
