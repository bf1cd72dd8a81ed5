"""The data of the API and the page, gathered from the loop, the store, the routes and the board."""

import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from alerts.config import AlertsConfig, is_loopback
from alerts.delivery.dispatcher import Dispatcher
from alerts.delivery.outbox import Outbox, RouteHealth
from alerts.loop import HEALTHY_SECONDS, Loop
from alerts.rules import is_problem
from alerts.scraping.target import Target
from alerts.store import Store
from alerts.web.leaderboard_client import Board, BoardReader
from alerts.web.page.render import Content
from alerts.web.page.rows import board_rows, peer_rows, span_of
from alerts.web.sparkline_data import SparklineReader
from alerts.web.status_json import RouteStatus, describe_status

SHOWN_EVENTS = 200
# People want the latest; the API has the rest.
EVENTS_ON_PAGE = 30
# In the JSON: of no other machine.
_HERE = {"machine": None, "pushed": False}
_SHOWN_STATES = ("pending", "held", "expired")


class PageData:
    """The current data for the API and for the page."""

    def __init__(
        self,
        config: AlertsConfig,
        loop: Loop,
        store: Store,
        dispatcher: Dispatcher,
        outbox: Outbox,
        board: BoardReader | None,
        sparklines: SparklineReader,
        describe_standby: Callable[[], dict[str, Any] | None] = lambda: None,
    ) -> None:
        """`describe_standby` says how this watcher and another one of the fleet stand, if there is one."""
        self._config = config
        self._describe_standby = describe_standby
        self._loop = loop
        self._store = store
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._board = board
        self._sparklines = sparklines
        self._machines = {target.peer: _machine_of(target) for target in config.targets}
        self._elsewhere = {
            target.peer: {"machine": target.machine, "pushed": target.pushed}
            for target in config.targets
            if target.machine
        }
        # The dead man's switch, where there is one.
        self.heartbeat: Callable[[], RouteHealth] | None = None
        self._stale_after = max(3 * config.interval + config.timeout, HEALTHY_SECONDS)

    def describe_status(self) -> dict[str, Any]:
        """The JSON of /api/status."""
        found = describe_status(self._loop.status, self.alerts(), self._outbox.count_deliveries())
        for peer in found["peers"]:
            peer |= self._elsewhere.get(peer["peer"], _HERE)
        return {**found, "standby": self._describe_standby()}

    def is_standing_by(self) -> bool:
        """Whether another watcher notifies in place of this one."""
        standby = self._describe_standby()
        return standby is not None and standby["role"] == "standing by"

    def describe_alerts(self) -> dict[str, Any]:
        """The JSON of /api/alerts."""
        silences = [silence._asdict() for silence in self._dispatcher.silences(time.time())]
        return {"alerts": self.alerts(), "silences": silences, "events": self._events()}

    def collect(self) -> Content:
        """The content of the page."""
        status, curves, now = self.describe_status(), self._sparklines.curves, time.time()
        board = self._board.board if self._board is not None else Board()
        ours = frozenset(peer["peer_id"] for peer in status["peers"] if peer["peer_id"])
        names = [target.peer for target in self._config.targets]
        return Content(
            fleet=self._config.fleet,
            now=now,
            evaluated_at=status["now"],
            is_healthy=self._loop.is_healthy(),
            stale_after=self._stale_after,
            peers=peer_rows(names, status["peers"], status["alerts"], curves, now, self._machines),
            span=span_of(curves, now),
            alerts=status["alerts"],
            silences=self._dispatcher.silences(now),
            routes=self._describe_routes(),
            heartbeat=self._describe_heartbeat(),
            events=self._events()[: -EVENTS_ON_PAGE - 1 : -1],
            board=board_rows(board.leaders, ours),
            board_total=len(board.leaders),
            board_problem=board.problem,
            has_board=self._board is not None,
            notices=self._notices(),
        )

    def _notices(self) -> list[tuple[str, str, str]]:
        databases = self._loop.databases.items()
        unwritten = [("unwritten", name, one.problem) for name, one in databases if one.problem]
        return (
            self._standby_notices()
            + unwritten
            + [("set_aside", name, one.aside.name) for name, one in databases if one.aside is not None]
        )

    def _standby_notices(self) -> list[tuple[str, str, str]]:
        standby = self._describe_standby()
        if standby is None or standby["role"] == "first":
            return []
        if standby["role"] == "notifying":
            return [("took_over", standby["of"], standby["problem"])]
        return [("taking_over" if standby["problem"] else "standing_by", standby["of"], standby["problem"])]

    def _events(self) -> list[dict[str, Any]]:
        return [event for event in self._store.events(SHOWN_EVENTS) if is_problem(event["rule"])]

    def alerts(self) -> list[dict[str, Any]]:
        """The pending and firing alerts as in /api/alerts."""
        return self._dispatcher.describe_alerts(self._loop.status.alert_states, time.time())

    def _describe_routes(self) -> list[RouteStatus]:
        counts = self._outbox.count_deliveries()
        return [
            RouteStatus(name, **{state: counts.get(name, {}).get(state, 0) for state in _SHOWN_STATES}, health=health)
            for name, health in self._outbox.health.items()
        ]

    def _describe_heartbeat(self) -> RouteStatus | None:
        return RouteStatus("deadman", 0, 0, 0, health=self.heartbeat()) if self.heartbeat is not None else None


def _machine_of(target: Target) -> str:
    """Where a sidecar runs: as its machine is called, or by its address."""
    if target.machine:
        return target.machine
    host = urlsplit(target.url).hostname or ""
    return socket.gethostname() if is_loopback(host) else host
