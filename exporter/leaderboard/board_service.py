"""The board's part of the service: the DHT, the loop that keeps the board, and its pages."""

import threading
from pathlib import Path

from starlette.types import ASGIApp

from exporter.leaderboard.api import create_app
from exporter.leaderboard.config import LeaderboardConfig
from exporter.leaderboard.measures import Measures
from exporter.leaderboard.poll import Poller
from exporter.leaderboard.reader import Reader
from exporter.leaderboard.standings import Standings
from exporter.leaderboard.store import Store, StoreFailed
from exporter.serving.host_names import HostRule


class BoardService:
    """Owns database and reader; `app` serves the board, and what the sources say beside it."""

    def __init__(
        self, config: LeaderboardConfig, config_path: Path, hosts: HostRule, standings: Standings | None
    ) -> None:
        """Raises ValueError, one line, where the database cannot be used."""
        measures = Measures()
        try:
            self._store = Store(config.database)
        except StoreFailed as error:
            raise ValueError(str(error)) from None
        self._reader = Reader(config_path)
        find_place = standings.find_place if standings is not None else lambda: None
        self._poller = Poller(config, self._reader, self._store, measures, find_place)
        self.app: ASGIApp = create_app(
            lambda: self._poller.snapshot, measures, config.stale_after_seconds, hosts, standings=standings
        )

    def run(self, stop: threading.Event) -> None:
        """Polls until `stop`."""
        self._poller.run(stop)

    def end_reader(self) -> None:
        """Ends a read that is under way."""
        self._reader.close()

    def close(self) -> None:
        self._reader.close()
        self._store.close()
