"""The HTTP service: serves the newest snapshot, and never waits for the DHT or the database."""

import json
import time
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from exporter.leaderboard.measures import Measures
from exporter.leaderboard.names import names_of
from exporter.leaderboard.snapshot import Snapshot, find_id
from exporter.leaderboard.standings import Standings
from exporter.leaderboard.standings_api import make_route
from exporter.serving.host_guard import HostGuard
from exporter.serving.host_names import HostRule

MAX_IDS = 1000
MAX_BODY_BYTES = 100 * 1024
MAX_NAME = 200


def create_app(
    read_snapshot: Callable[[], Snapshot],
    measures: Measures,
    stale_after_seconds: float,
    hosts: HostRule,
    clock: Callable[[], float] = time.time,
    *,
    standings: Standings | None = None,
) -> FastAPI:
    """The application; `read_snapshot` returns the newest snapshot, and `clock` unix seconds.

    `hosts` are the names that requests may have; `standings` is what the sources say, beside the board.
    """
    app = FastAPI(title="Peerwatch leaderboard", docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(_harden)
    app.add_middleware(HostGuard, rule=hosts)

    def problem() -> str | None:
        snapshot = read_snapshot()
        because = f": {snapshot.problem}" if snapshot.problem else ""
        if snapshot.polled_at is None:
            return f"the swarm has not been read yet{because}"
        age = clock() - snapshot.polled_at
        return f"the swarm was last read {age:.0f} s ago{because}" if age > stale_after_seconds else None

    @app.get("/api/healthz")
    async def healthz() -> dict[str, Any]:
        detail, snapshot = problem(), read_snapshot()
        if detail is not None or snapshot.polled_at is None:
            raise HTTPException(500, detail)
        said = {"problem": snapshot.problem} if snapshot.problem else {}
        return {"message": "OK", "lastPolled": max(0.0, clock() - snapshot.polled_at), **said}

    @app.get("/api/round_and_stage")
    async def round_and_stage() -> dict[str, int]:
        snapshot = read_snapshot()
        place = snapshot.place if snapshot.polled_at is not None else None
        return {"round": place.round if place else -1, "stage": place.stage if place else -1}

    @app.get("/api/leaderboard")
    async def leaderboard() -> Response:
        return _json(read_snapshot().leaderboard)

    @app.get("/api/leaderboard-cumulative")
    async def leaderboard_cumulative() -> Response:
        return _json(read_snapshot().cumulative)

    @app.get("/api/rewards-history")
    async def rewards_history() -> Response:
        return _json(read_snapshot().history)

    @app.get("/api/gossip")
    async def gossip() -> Response:
        return _json(read_snapshot().gossip)

    @app.get("/api/name-to-id")
    async def name_to_id(name: str) -> dict[str, str | None]:
        return {"id": find_id(read_snapshot(), name) if len(name) <= MAX_NAME else None}

    @app.post("/api/id-to-name")
    async def id_to_name(request: Request) -> dict[str, str]:
        return names_of(_parse_ids(await _read_body(request)), read_snapshot().names)

    @app.get("/api/peers/{peer_id}")
    async def peer(peer_id: str) -> JSONResponse:
        detail = problem() or (None if read_snapshot().peers else "the board is empty")
        if detail is not None:
            raise HTTPException(503, detail)
        page = read_snapshot().peer_page(peer_id)
        if page is None:
            raise HTTPException(404, "peer not on the board")
        return JSONResponse(page)

    app.router.routes.append(make_route(standings, clock))

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(measures.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    return app


async def _harden(request: Request, call_next: Callable[[Request], Any]) -> Response:
    response: Response = await call_next(request)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


async def _read_body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    return body


def _parse_ids(body: bytes) -> list[str]:
    try:
        ids = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(422, "the body is not JSON") from None
    if not isinstance(ids, list) or len(ids) > MAX_IDS or not all(isinstance(one, str) for one in ids):
        raise HTTPException(422, f"the body must be a list of at most {MAX_IDS} ids")
    return ids


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
