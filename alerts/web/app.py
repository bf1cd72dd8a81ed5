"""The alert loop's HTTP routes: status page, stream, JSON API, service discovery, metrics, health."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from alerts.config import AlertsConfig
from alerts.delivery.outbox import Outbox
from alerts.export.discovery import MACHINE_PAGE, describe_services, describe_target
from alerts.export.machine_page import render_page
from alerts.history.api import HistoryApi
from alerts.loop import Loop
from alerts.web.actions import Actions
from alerts.web.headers import HEADERS
from alerts.web.joining import Joining
from alerts.web.live_page import LivePage
from alerts.web.login import LoginGuard, Throttle
from alerts.web.own_metrics import MetricsPage
from alerts.web.page.arrangement import read_arrangement
from alerts.web.page.assets import ASSETS
from alerts.web.page_data import PageData
from alerts.web.peer_page import PeerPages
from alerts.web.pushing import Pushing
from alerts.web.stream import Stream
from exporter.serving.host_guard import HostGuard
from exporter.serving.host_names import page_names
from exporter.serving.listen_address import split_listen

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def make_app(
    config: AlertsConfig,
    loop: Loop,
    outbox: Outbox,
    page_data: PageData,
    actions: Actions,
    live: LivePage,
    history: HistoryApi,
    peer_pages: PeerPages,
    password: str,
    joining: Joining | None = None,
    more_routes: Sequence[Route] = (),
    pushing: Pushing | None = None,
) -> Starlette:
    """The application; responses come from memory and one quick read of the database. `password` is the login's."""
    pages = _Pages(config, loop, outbox, page_data, live, pushing.results if pushing else Counter())
    compressed = [Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)]
    routes = [
        Route("/", pages.show, middleware=compressed),
        Route("/peers/{peer:path}", peer_pages.show, middleware=compressed),
        *(Route(f"/{name}", asset.serve, middleware=compressed) for name, asset in ASSETS.items()),
        Route("/api/stream", Stream(live, HEADERS)),
        Route("/api/status", pages.status),
        Route("/api/alerts", pages.alerts),
        Route("/targets", pages.targets),
        Route("/targets/services", pages.services),
        Route("/metrics", pages.metrics),
        Route(MACHINE_PAGE, pages.machine_page, middleware=compressed),
        Route("/-/healthy", pages.healthy),
        *actions.routes(),
        *history.routes(),
        *(joining.routes() if joining else ()),
        *more_routes,
        *(pushing.routes() if pushing else ()),
    ]
    guards = [Middleware(HostGuard, rule=page_names(split_listen(config.listen)[0], config.allowed_hosts))]
    if config.login is not None:
        login = {"user": config.login.user, "password": password, "token": actions.token}
        guards.append(Middleware(LoginGuard, **login, throttle=Throttle()))
    return Starlette(routes=routes, middleware=guards)


class _Pages:
    """The handlers. They run on the event loop's thread and never block."""

    def __init__(
        self,
        config: AlertsConfig,
        loop: Loop,
        outbox: Outbox,
        page_data: PageData,
        live: LivePage,
        pushes: Counter[tuple[str, str]],
    ) -> None:
        self._config = config
        self._machine_of = {target.peer: target.machine for target in config.targets if target.machine}
        self._loop = loop
        self._outbox = outbox
        self._page_data = page_data
        self._live = live
        self._metrics = MetricsPage(
            loop, outbox, Path(config.state_dir), pushes, is_standing_by=page_data.is_standing_by
        )

    async def show(self, request: Request) -> Response:
        return HTMLResponse(self._live.page(read_arrangement(request.query_params)), headers=HEADERS)

    async def status(self, _request: Request) -> Response:
        return JSONResponse(self._page_data.describe_status(), headers=HEADERS)

    async def alerts(self, _request: Request) -> Response:
        return JSONResponse(self._page_data.describe_alerts(), headers=HEADERS)

    async def targets(self, request: Request) -> Response:
        # By the address that was asked, as that is one that Prometheus reaches.
        scheme = "https" if self._config.tls is not None else "http"
        here = f"{scheme}://{request.headers['host']}"
        return JSONResponse([describe_target(self._config.fleet, target, here) for target in self._config.targets])

    async def services(self, _request: Request) -> Response:
        return JSONResponse(describe_services(self._config))

    async def metrics(self, _request: Request) -> Response:
        return Response(self._metrics.content(), media_type=METRICS_TYPE)

    async def machine_page(self, request: Request) -> Response:
        """A sidecar's page from elsewhere; an error where there is none now, as if it had been asked itself."""
        peer = request.path_params["peer"]
        if self._machine_of.get(peer) != request.path_params["machine"]:
            return PlainTextResponse("no such peer of a machine elsewhere\n", status_code=404)
        scrape = self._loop.status.scrapes.get(peer)
        if scrape is None or scrape.page is None or not self._loop.is_healthy():
            return PlainTextResponse(f"{scrape.failure if scrape else ''}\n", status_code=503)
        return Response(render_page(scrape.page), media_type=METRICS_TYPE)

    async def healthy(self, _request: Request) -> Response:
        if self._loop.is_healthy():
            problem = self._loop.databases["alerts"].problem
            return PlainTextResponse(f"ok, but alert states cannot be written: {problem}\n" if problem else "ok\n")
        return PlainTextResponse("the rules are no longer evaluated\n", status_code=503)
