"""The HTTP face of the alert loop: status page, JSON, service discovery, metrics, health."""

import ipaddress
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from alerts.config import AlertsConfig, split_listen
from alerts.control import Controls
from alerts.discovery import describe_services, describe_target
from alerts.dispatch import Dispatcher
from alerts.host import HostCollector
from alerts.loop import Loop
from alerts.outbox import Outbox
from alerts.page import STYLE, render_page
from alerts.status import AlertCollector, RouteStatus, describe_status, is_trouble
from alerts.store import Store

SHOWN_EVENTS = 200
_SHOWN_STATES = ("pending", "held", "expired")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def make_app(
    config: AlertsConfig,
    loop: Loop,
    store: Store,
    dispatcher: Dispatcher,
    outbox: Outbox,
    controls: Controls,
) -> Starlette:
    """The application; its answers come from memory and one quick read of the database."""
    pages = _Pages(config, loop, store, dispatcher, outbox)
    routes = [
        Route("/", pages.show),
        Route("/page.css", pages.style),
        Route("/api/status", pages.status),
        Route("/api/alerts", pages.alerts),
        Route("/targets", pages.targets),
        Route("/targets/services", pages.services),
        Route("/metrics", pages.metrics),
        Route("/-/healthy", pages.healthy),
        *controls.routes(),
    ]
    names = allowed_hosts(config.listen, config.allowed_hosts)
    return Starlette(routes=routes, middleware=[Middleware(_Guard, names=names)])


def allowed_hosts(listen: str, more: Iterable[str]) -> frozenset[str]:
    """Names under which the page may be asked for: a web site that points its own name at this address gets nothing."""
    host, _ = split_listen(listen)
    # The last one is this machine as a container sees it; no name server outside can answer for `.internal`.
    names = {"localhost", "127.0.0.1", "::1", "host.docker.internal", host.lower(), *(name.lower() for name in more)}
    if _is_wildcard(host):
        names |= {socket.gethostname().lower(), "*address"}
    return frozenset(names)


def is_allowed(host_header: str, names: frozenset[str]) -> bool:
    """Whether a Host header is one of the names; `*address` stands for any numeric address."""
    host = (urlsplit(f"//{host_header}").hostname or "").lower() if _is_plain(host_header) else ""
    return host in names or ("*address" in names and _is_address(host))


class _Pages:
    """The handlers. They run on the loop's thread and wait for nothing."""

    def __init__(
        self,
        config: AlertsConfig,
        loop: Loop,
        store: Store,
        dispatcher: Dispatcher,
        outbox: Outbox,
    ) -> None:
        self._config = config
        self._loop = loop
        self._store = store
        self._dispatcher = dispatcher
        self._outbox = outbox

    async def show(self, _request: Request) -> Response:
        described = self._describe_status()
        text = render_page(
            described,
            events=self._events()[::-1],
            routes=self._describe_routes(),
            silences=self._dispatcher.silences(time.time()),
            is_healthy=self._loop.is_healthy(),
        )
        return HTMLResponse(text, headers=_HEADERS)

    async def style(self, _request: Request) -> Response:
        return Response(STYLE, media_type="text/css", headers={**_HEADERS, "Cache-Control": "max-age=3600"})

    async def status(self, _request: Request) -> Response:
        return JSONResponse(self._describe_status(), headers=_HEADERS)

    async def alerts(self, _request: Request) -> Response:
        silences = [silence._asdict() for silence in self._dispatcher.silences(time.time())]
        content = {"alerts": self._describe_alerts(), "silences": silences, "events": self._events()}
        return JSONResponse(content, headers=_HEADERS)

    async def targets(self, _request: Request) -> Response:
        return JSONResponse([describe_target(self._config.fleet, target) for target in self._config.targets])

    async def services(self, _request: Request) -> Response:
        return JSONResponse(describe_services(self._config))

    async def metrics(self, _request: Request) -> Response:
        registry = CollectorRegistry()
        pending = sum(counts.get("pending", 0) for counts in self._outbox.count_deliveries().values())
        registry.register(AlertCollector(self._loop.status, self._outbox.results, pending, self._loop.restarts))
        registry.register(HostCollector((Path(self._config.state_dir),)))
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def healthy(self, _request: Request) -> Response:
        if self._loop.is_healthy():
            return PlainTextResponse("ok\n")
        return PlainTextResponse("the rules are no longer evaluated\n", status_code=503)

    def _events(self) -> list[dict[str, Any]]:
        return [event for event in self._store.events(SHOWN_EVENTS) if is_trouble(event["rule"])]

    def _describe_routes(self) -> list[RouteStatus]:
        counts = self._outbox.count_deliveries()
        return [
            RouteStatus(name, **{state: counts.get(name, {}).get(state, 0) for state in _SHOWN_STATES}, health=health)
            for name, health in self._outbox.health.items()
        ]

    def _describe_status(self) -> dict[str, Any]:
        described = describe_status(self._loop.status, self._outbox.count_deliveries())
        return {**described, "alerts": self._describe_alerts()}

    def _describe_alerts(self) -> list[dict[str, Any]]:
        return self._dispatcher.describe_alerts(self._loop.status.standing, time.time())


class _Guard:
    """Refuses requests under a name that is not ours."""

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
