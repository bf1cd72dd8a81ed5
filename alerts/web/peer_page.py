"""A page for each peer: what it did in a span of time, what it is, what its log says, which alerts it has."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from alerts.config import AlertsConfig
from alerts.durations import parse_duration
from alerts.engine.evaluate import Key
from alerts.engine.peer_state import read_peer_state
from alerts.evidence.log_end import LogEnd, LogReader
from alerts.history.api import HistoryApi
from alerts.history.query import Series
from alerts.history.store import FileError, Firing
from alerts.loop import Loop
from alerts.messages.single import Style
from alerts.web.headers import HEADERS
from alerts.web.page.chart import draw, time_ticks
from alerts.web.page.marks import draw_marks, find_marks
from alerts.web.page.panels import make_charts
from alerts.web.page.peer_view import Links, PeerView, SpanChoice, read_facts
from alerts.web.page.render import Renderer
from alerts.web.page_data import PageData
from alerts.web.window import (
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    Window,
    address_of,
    make_axis,
    make_earlier_query,
    make_query,
    read_window,
)

SPANS = ("1h", "24h", "7d", "30d")
EARLIER = ("-1h", "-1d", "-7d", "-30d")
GRAFANA_BOARD = "peerwatch-peer"

log = logging.getLogger(__name__)


class PeerPages:
    """The handler of /peers/NAME."""

    def __init__(
        self,
        config: AlertsConfig,
        loop: Loop,
        page_data: PageData,
        history: HistoryApi,
        renderer: Renderer,
        style: Style,
    ) -> None:
        self._config = config
        self._loop = loop
        self._page_data = page_data
        self._history = history
        self._renderer = renderer
        self._style = style
        self._peers = [target.peer for target in config.targets]
        self._logs = LogReader({target.peer: target.run_dir for target in config.targets if target.run_dir})

    async def show(self, request: Request) -> Response:
        """The page; 404 for a peer that is not configured, 422 for a span that is none."""
        peer = request.path_params["peer"]
        if peer not in self._peers:
            return PlainTextResponse("unknown peer\n", status_code=404, headers=HEADERS)
        try:
            window = read_window(request.query_params, set(self._peers) - {peer})
        except ValueError as error:
            return PlainTextResponse(f"{error}\n", status_code=422, headers=HEADERS)
        html = await self._make(peer, window, time.time())
        return HTMLResponse(html, headers=HEADERS)

    async def _make(self, peer: str, window: Window, now: float) -> str:
        query = make_query(peer, window, now, self._config.interval)
        try:
            series, firings = await self._history.read_with_firings(query)
            if window.earlier:
                past = await self._history.read(make_earlier_query(query, window))
                count = len(series.times)
                columns = {metric: [*column, None][:count] for metric, column in past.values[peer].items()}
                series = replace(series, values={**series.values, window.compare: columns})
        except FileError as error:
            log.info("the page of %s has no history: %s", peer, error)
            series, firings = None, []
        log_end = await self._logs.read(peer)
        alerts = [one for one in self._page_data.alerts() if one["peer"] == peer]
        # Drawing takes longer than anybody else should wait.
        return await asyncio.to_thread(self._render, peer, window, now, series, firings, log_end, alerts)

    def _render(
        self,
        peer: str,
        window: Window,
        now: float,
        series: Series | None,
        firings: Sequence[Firing],
        log_end: LogEnd | None,
        alerts: Sequence[Mapping[str, Any]],
    ) -> str:
        status = self._loop.status
        memory = status.alert_states.memories.get(Key("MemoryForecast", peer)) or {}
        trend = memory.get("trend") if window.until is None else None
        axis = make_axis(window, now, bool(trend))
        scrape = status.scrapes.get(peer)
        page = scrape.page if scrape else None
        drawings, marks = [], draw_marks([], axis)
        if series is not None:
            charts = make_charts(series, peer, window.compare, trend, axis.now)
            drawings = [drawing for chart in charts if (drawing := draw(chart, axis)) is not None]
            marks = draw_marks(find_marks(series, peer, firings, axis), axis)
        view = PeerView(
            fleet=self._config.fleet,
            peer=peer,
            now=now,
            evaluated_at=status.now,
            window=window,
            axis=axis,
            ticks=time_ticks(axis, self._style.zone),
            spans=[self._span_choice(peer, window, span) for span in SPANS],
            links=self._links(peer, window, now),
            earlier=[SpanChoice(parse_duration(one[1:]), one, one == window.compare) for one in EARLIER],
            peers=[other for other in self._peers if other != peer],
            facts=read_facts(page, self._loop.restarts.get(peer), now),
            state=read_peer_state(page) if scrape else "unknown",
            alerts=alerts,
            remedies={one["rule"]: self._style.remedy_of(one["rule"]) for one in alerts},
            drawings=drawings,
            marks=marks,
            times=series.times if series is not None else [],
            log_end=log_end,
            is_history_read=series is not None,
        )
        return self._renderer.peer_page(view)

    def _span_choice(self, peer: str, window: Window, span: str) -> SpanChoice:
        seconds = parse_duration(span)
        return SpanChoice(seconds, window.address(peer, span=seconds, until=None), window.seconds == seconds)

    def _links(self, peer: str, window: Window, now: float) -> Links:
        until = window.until if window.until is not None else now
        later = until + window.seconds / 2
        middle = until - window.seconds / 2
        wider, narrower = min(LONGEST_SECONDS, window.seconds * 2), max(SHORTEST_SECONDS, window.seconds / 2)
        grafana = ""
        if self._config.grafana_url:
            begin = until - window.seconds
            times = {"from": f"{begin * 1e3:.0f}", "to": f"{until * 1e3:.0f}" if window.until is not None else "now"}
            base = self._config.grafana_url.rstrip("/")
            grafana = f"{base}/d/{GRAFANA_BOARD}?{urlencode({'var-peer': peer, **times})}"
        return Links(
            earlier=window.address(peer, until=middle),
            later=window.address(peer, until=later if later < now else None) if window.until is not None else "",
            wider=window.address(peer, span=wider, until=_until(middle + wider / 2, now, window)),
            narrower=window.address(peer, span=narrower, until=_until(middle + narrower / 2, now, window)),
            alone=window.address(peer, compare="") if window.compare else "",
            other=address_of(window.compare) if window.compare and not window.earlier else "",
            grafana=grafana,
        )


def _until(end: float, now: float, window: Window) -> float | None:
    """The end of a zoomed window: now stays now."""
    return None if window.until is None or end >= now else end
