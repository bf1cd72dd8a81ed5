"""The sparklines of the status page, read from the history in the background."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from alerts.history.query import Query, Series
from alerts.history.store import FileError
from alerts.web.page.rows import CURVES, DAY_SECONDS, Curves
from alerts.web.page.sparkline import BUCKETS

INTERVAL_SECONDS = 60.0
# Right after the start somebody waits for the first points.
FIRST_SECONDS = 10.0

log = logging.getLogger(__name__)


class SparklineReader:
    """Reads the last day of all peers at intervals; `curves` are the latest."""

    def __init__(self, peers: Sequence[str], read: Callable[[Query], Awaitable[Series]]) -> None:
        self._peers = tuple(peers)
        self._read = read
        self.curves: Curves = {}

    async def run(self, on_change: Callable[[], None], viewed: asyncio.Event) -> None:
        """Reads while the page is `viewed`, until cancelled; calls `on_change` after each read."""
        began = time.monotonic()
        while True:
            await viewed.wait()
            viewed.clear()
            try:
                self.curves = await self._read_curves(time.time())
                on_change()
            except FileError as error:
                log.info("sparklines could not be read: %s", error)
            is_young = time.monotonic() - began < INTERVAL_SECONDS
            await asyncio.sleep(FIRST_SECONDS if is_young else INTERVAL_SECONDS)

    async def _read_curves(self, now: float) -> Curves:
        series = await self._read(Query(self._peers, CURVES, now - DAY_SECONDS, now, BUCKETS * 2))
        begins = [at for values in series.values.values() for at in _first(series.times, values.values())]
        # A short history has few points at this step: read it again at a finer one.
        span = now - min(begins, default=now - DAY_SECONDS)
        if span < DAY_SECONDS / 2:
            series = await self._read(Query(self._peers, CURVES, now - span - series.step, now, BUCKETS * 2))
        return {
            peer: {
                metric: [(at, value) for at, value in zip(series.times, column, strict=True) if value is not None]
                for metric, column in values.items()
            }
            for peer, values in series.values.items()
        }


def _first(times: Sequence[float], columns: Iterable[Sequence[float | None]]) -> list[float]:
    """The time of each column's first value."""
    starts = (
        next((at for at, value in zip(times, column, strict=True) if value is not None), None) for column in columns
    )
    return [at for at in starts if at is not None]
