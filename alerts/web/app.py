"""The alert loop's HTTP routes: status page, stream, JSON API, service discovery, metrics, health."""

import ipaddress
import socket
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from alerts.config import AlertsConfig, split_listen
from alerts.delivery.outbox import Outbox
from alerts.export.discovery import describe_services, describe_target
from alerts.history.api import HistoryApi
from alerts.loop import Loop
from alerts.scraping.host import HostCollector
from alerts.web.actions import Actions
from alerts.web.live_page import LivePage
from alerts.web.login import LoginGuard, Throttle
from alerts.web.own_metrics import AlertCollector
from alerts.web.page.assets import ASSETS
from alerts.web.page_data import PageData
from alerts.web.stream import Stream

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def make_app(
    config: AlertsConfig,
    loop: Loop,
    outbox: Outbox,
    page_data: PageData,
    actions: Actions,
    live: LivePage,
    history: HistoryApi,
    password: str,
) -> Starlette:
    """The application; responses come from memory and one quick read of the database. `password` is the login's."""
    pages = _Pages(config, loop, outbox, page_data, live)
    compressed = [Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)]
    routes = [
        Route("/", pages.show, middleware=compressed),
        *(Route(f"/{name}", asset.serve, middleware=compressed) for name, asset in ASSETS.items()),
        Route("/api/stream", Stream(live, _HEADERS)),
        Route("/api/status", pages.status),
        Route("/api/alerts", pages.alerts),
        Route("/targets", pages.targets),
        Route("/targets/services", pages.services),
        Route("/metrics", pages.metrics),
        Route("/-/healthy", pages.healthy),
        *actions.routes(),
        *history.routes(),
    ]
    guards = [Middleware(_HostGuard, names=allowed_hosts(config.listen, config.allowed_hosts))]
    if config.login is not None:
        login = {"user": config.login.user, "password": password, "token": actions.token}
        guards.append(Middleware(LoginGuard, **login, throttle=Throttle()))
    return Starlette(routes=routes, middleware=guards)


def allowed_hosts(listen: str, configured: Iterable[str]) -> frozenset[str]:
    """Accepted host names: a web site that points its own name at this address is refused."""
    host, _ = split_listen(listen)
    # host.docker.internal is this machine as a container sees it; no public DNS resolves `.internal`.
    names = {
        "localhost",
        "127.0.0.1",
        "::1",
        "host.docker.internal",
        host.lower(),
        *(name.lower() for name in configured),
    }
    if _is_wildcard(host):
        names |= {socket.gethostname().lower(), "*address"}
    return frozenset(names)


def is_allowed(host_header: str, names: frozenset[str]) -> bool:
    """Whether a Host header is one of the names; `*address` stands for any numeric address."""
    host = (urlsplit(f"//{host_header}").hostname or "").lower() if _is_plain(host_header) else ""
    return host in names or ("*address" in names and _is_address(host))


class _Pages:
    """The handlers. They run on the event loop's thread and never block."""

    def __init__(self, config: AlertsConfig, loop: Loop, outbox: Outbox, page_data: PageData, live: LivePage) -> None:
        self._config = config
        self._loop = loop
        self._outbox = outbox
        self._page_data = page_data
        self._live = live

    async def show(self, _request: Request) -> Response:
        return HTMLResponse(self._live.page(), headers=_HEADERS)

    async def status(self, _request: Request) -> Response:
        return JSONResponse(self._page_data.describe_status(), headers=_HEADERS)

    async def alerts(self, _request: Request) -> Response:
        return JSONResponse(self._page_data.describe_alerts(), headers=_HEADERS)

    async def targets(self, _request: Request) -> Response:
        return JSONResponse([describe_target(self._config.fleet, target) for target in self._config.targets])

    async def services(self, _request: Request) -> Response:
        return JSONResponse(describe_services(self._config))

    async def metrics(self, _request: Request) -> Response:
        registry = CollectorRegistry()
        pending = sum(counts.get("pending", 0) for counts in self._outbox.count_deliveries().values())
        loop = self._loop
        registry.register(AlertCollector(loop.status, self._outbox.results, pending, loop.restarts, loop.databases))
        registry.register(HostCollector((Path(self._config.state_dir),)))
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def healthy(self, _request: Request) -> Response:
        if self._loop.is_healthy():
            problem = self._loop.databases["alerts"].problem
            return PlainTextResponse(f"ok, but alert states cannot be written: {problem}\n" if problem else "ok\n")
        return PlainTextResponse("the rules are no longer evaluated\n", status_code=503)


class _HostGuard:
    """Refuses requests with a foreign Host header."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or not is_allowed(hosts[0], self._names):
                await PlainTextResponse("unknown host name\n", status_code=421)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_plain(host_header: str) -> bool:
    return not set(host_header) & set("/\\@?# \t") and host_header.count("[") == host_header.count("]") <= 1


def _is_wildcard(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
