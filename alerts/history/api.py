"""The history over HTTP: points for charts, rewards, and exports."""

import asyncio
import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alerts.durations import parse_duration
from alerts.engine.status import Status
from alerts.history.query import MAX_POINTS, Query, Series, read_file, read_file_with_firings
from alerts.history.recorder import Recorder
from alerts.history.store import FileError, Firing
from alerts.history.summary import CHARTS, STATES
from alerts.scraping.page import Page

MAX_VALUES = 250_000
MAX_NAMES = 1000
_METRICS = ("steps_per_second", "memory_bytes", "rank", "reward_cumulative")
_REWARDS = ("reward_cumulative", "rank")
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Found = TypeVar("Found")


class HistoryApi:
    """The handlers. They read in other threads, two at a time, so that no request blocks the loop."""

    def __init__(self, recorder: Recorder, peers: Sequence[str], read_status: Callable[[], Status]) -> None:
        self._recorder = recorder
        self._peers = tuple(peers)
        self._read_status = read_status
        self._readers = asyncio.Semaphore(2)

    def routes(self) -> list[Route]:
        return [
            Route("/api/history", self._answer(self._history)),
            Route("/api/rewards-history", self._answer(self._rewards)),
            Route("/api/export", self._answer(self._export)),
        ]

    async def read(self, query: Query) -> Series:
        """The points, for the page; raises FileError."""
        return await self._read(partial(read_file, query=query))

    async def read_with_firings(self, query: Query) -> tuple[Series, list[Firing]]:
        """The points, and what fired meanwhile, for the page of a peer; raises FileError."""
        return await self._read(partial(read_file_with_firings, query=query))

    async def _read(self, read: Callable[[Path], Found]) -> Found:
        async with self._readers:
            try:
                return await asyncio.to_thread(read, self._recorder.path)
            except FileError as error:
                if error.is_damage:
                    self._recorder.suspect()
                raise

    def _answer(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            try:
                answer: Response = await handler(request)
                return answer
            except ValueError as error:
                return JSONResponse({"detail": str(error)}, status_code=422)
            except FileError:
                return JSONResponse({"detail": "the history cannot be read at the moment"}, status_code=503)

        return handle

    async def _history(self, request: Request) -> Response:
        query = self._parse_query(request, points=200)
        series = await self.read(query)
        content = {
            "since": query.since,
            "until": query.until,
            "step": series.step,
            "times": series.times,
            "peers": series.values,
        }
        if query.spread:
            content |= {"least": series.least, "greatest": series.greatest}
        if "state" in query.metrics:
            content["states"] = STATES
        return JSONResponse(content, headers=_HEADERS)

    async def _rewards(self, request: Request) -> Response:
        query = self._parse_query(request, points=200, metrics=_REWARDS)
        series = await self.read(query)
        scrapes = self._read_status().scrapes
        leaders = []
        for peer in query.peers:
            scrape = scrapes.get(peer)
            info = ((scrape.page if scrape else None) or Page()).labels("trainer_info")
            points = zip(series.times, *(series.values[peer][metric] for metric in _REWARDS), strict=True)
            values = [{"x": at, "y": reward, "rank": rank} for at, reward, rank in points if reward is not None]
            leaders.append(
                {
                    "id": info.get("peer_id") or None,
                    "nickname": info.get("nickname") or None,
                    "peer": peer,
                    "values": values,
                }
            )
        return JSONResponse({"leaders": leaders}, headers=_HEADERS)

    async def _export(self, request: Request) -> Response:
        form = request.query_params.get("format", "csv")
        if form not in ("csv", "json"):
            raise ValueError(f"format: csv or json, not {form[:20]!r}")
        query = self._parse_query(request, points=MAX_POINTS)
        rows = _rows(await self.read(query), query)
        headers = {**_HEADERS, "Content-Disposition": f'attachment; filename="peerwatch-history.{form}"'}
        if form == "json":
            return JSONResponse(list(rows), headers=headers)
        return Response(_write_csv(rows, query.metrics), media_type="text/csv; charset=utf-8", headers=headers)

    def _parse_query(self, request: Request, points: int, metrics: Sequence[str] = ()) -> Query:
        given = request.query_params
        metrics = tuple(dict.fromkeys(metrics or given.getlist("metric") or _METRICS))
        peers = tuple(dict.fromkeys(given.getlist("peer") or self._peers))
        unknown = [metric for metric in metrics if metric not in CHARTS]
        if unknown:
            raise ValueError(f"metric: unknown {unknown[0][:40]!r}; known: {', '.join(CHARTS)}")
        if len(peers) > MAX_NAMES:
            raise ValueError(f"peer: more than {MAX_NAMES}")
        now = time.time()
        try:
            since = now - parse_duration(given.get("since", "24h"))
        except ValueError as error:
            raise ValueError(f"since: {error}") from None
        if since >= now:
            raise ValueError("since: must be longer than 0s")
        wanted = given.get("points", "")
        if wanted and not (wanted.isdecimal() and 1 <= int(wanted[:9]) <= MAX_POINTS):
            raise ValueError(f"points: a number from 1 to {MAX_POINTS}")
        points = int(wanted) if wanted else points
        most = max(1, MAX_VALUES // max(1, len(peers) * len(metrics)))
        if wanted and points > most:
            raise ValueError(f"points: at most {most} for so many peers and metrics")
        return Query(peers, metrics, since, now, min(points, most), "spread" in given)


def _rows(series: Series, query: Query) -> Iterator[dict[str, Any]]:
    """A row for each peer and time with a measured value."""
    for peer in query.peers:
        lists = [series.values[peer][metric] for metric in query.metrics]
        for at, *values in zip(series.times, *lists, strict=True):
            if any(value is not None for value in values):
                time_text = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
                yield {"time": time_text, "peer": peer, **dict(zip(query.metrics, values, strict=True))}


def _write_csv(rows: Iterator[dict[str, Any]], metrics: Sequence[str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["time", "peer", *metrics], lineterminator="\r\n")
    writer.writeheader()
    for row in rows:
        # A spreadsheet would read such a cell as a formula.
        peer = row["peer"]
        writer.writerow({**row, "peer": f"'{peer}" if peer[:1] in "=+-@\t\r" else peer})
    return out.getvalue()
