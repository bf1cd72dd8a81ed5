"""What the sources say of peers, over HTTP: alone, or beside the board; without the packages that a board needs."""

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from exporter.leaderboard.standings import Standings
from exporter.serving.host_guard import HostGuard
from exporter.serving.host_names import HostRule

_HEADERS = {"X-Content-Type-Options": "nosniff"}


def make_route(standings: Standings | None, clock: Callable[[], float] = time.time) -> Route:
    """`/api/standings/{peer id}`; not found where no sources are read."""

    async def standing(request: Request) -> JSONResponse:
        if standings is None:
            return JSONResponse({"detail": "no sources are configured"}, 404, _HEADERS)
        return JSONResponse(standings.page(request.path_params["peer_id"], clock()), headers=_HEADERS)

    return Route("/api/standings/{peer_id}", standing)


def make_sources_app(standings: Standings, hosts: HostRule, clock: Callable[[], float] = time.time) -> Starlette:
    """The application where no board is kept; `hosts` are the names that requests may have."""

    async def healthz(_request: Request) -> JSONResponse:
        # That a source cannot be read is its own state; here it is whether anybody reads.
        if standings.looked_at is None:
            return JSONResponse({"detail": "no source has been read yet"}, 500, _HEADERS)
        age = max(0.0, clock() - standings.looked_at)
        return JSONResponse({"message": "OK", "lastPolled": age}, headers=_HEADERS)

    routes = [Route("/api/healthz", healthz), make_route(standings, clock)]
    return Starlette(routes=routes, middleware=[Middleware(HostGuard, rule=hosts)])
