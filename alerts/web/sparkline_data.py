"""The curves of the status page, read from the history beside the loop: a day of fifty peers takes a moment."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from alerts.history.query import Query, Series
from alerts.history.store import FileError
from alerts.web.page.rows import CURVES, DAY_SECONDS, Curves
from alerts.web.page.sparkline import BUCKETS

INTERVAL_SECONDS = 60.0
# A fleet that has just started is looked at by somebody who waits for the first points.
FIRST_SECONDS = 10.0

log = logging.getLogger(__name__)


class SparklineReader:
    """Reads the last day of all peers every so often; `curves` are the latest."""

    def __init__(self, peers: Sequence[str], read: Callable[[Query], Awaitable[Series]]) -> None:
        self._peers = tuple(peers)
        self._read = read
        self.curves: Curves = {}

    async def run(self, on_change: Callable[[], None], looked: asyncio.Event) -> None:
        """Reads whenever somebody has `looked` since, until it is cancelled, and calls `on_change` after each time."""
        began = time.monotonic()
        while True:
            await looked.wait()
            looked.clear()
            try:
                self.curves = await self._draw(time.time())
                on_change()
            except FileError as error:
                log.info("no curves just now: %s", error)
            is_young = time.monotonic() - began < INTERVAL_SECONDS
            await asyncio.sleep(FIRST_SECONDS if is_young else INTERVAL_SECONDS)

    async def _draw(self, now: float) -> Curves:
        drawn = await self._read(Query(self._peers, CURVES, now - DAY_SECONDS, now, BUCKETS * 2))
        begins = [at for values in drawn.values.values() for at in _first(drawn.times, values.values())]
        # The points of a short life would be few: it is read once more, as finely as it is shown.
        span = now - min(begins, default=now - DAY_SECONDS)
        if span < DAY_SECONDS / 2:
            drawn = await self._read(Query(self._peers, CURVES, now - span - drawn.step, now, BUCKETS * 2))
        return {
            peer: {
                metric: [(at, value) for at, value in zip(drawn.times, column, strict=True) if value is not None]
                for metric, column in values.items()
            }
            for peer, values in drawn.values.items()
        }


def _first(times: Sequence[float], columns: Iterable[Sequence[float | None]]) -> list[float]:
    """When each column begins."""
    starts = (
        next((at for at, value in zip(times, column, strict=True) if value is not None), None) for column in columns
    )
    return [at for at in starts if at is not None]
