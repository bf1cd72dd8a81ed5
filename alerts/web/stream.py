"""Changes of the status page as server-sent events.

No queue: each reader gets what has changed since its last event, so that a slow one skips to the latest state. The
server disconnects a reader that does not read; the number of readers is bounded, far below that of connections.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from alerts.web.live_page import LivePage

MAX_STREAMS = 250
HEARTBEAT_SECONDS = 15.0
# Changes this close together are one event.
BATCH_SECONDS = 0.1
# Small pieces bound what is buffered for a reader that does not read.
PIECE_BYTES = 16 * 1024
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
)


class Stream:
    """The ASGI application behind /api/stream."""

    def __init__(self, live: LivePage, headers: Mapping[str, str]) -> None:
        self._live = live
        self._headers = [*_HEADERS, *((name.lower().encode(), value.encode()) for name, value in headers.items())]
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._open >= MAX_STREAMS:
            refusal = PlainTextResponse("too many open pages\n", status_code=503, headers={"Retry-After": "30"})
            await refusal(scope, receive, send)
            return
        self._open += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._open -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        events = asyncio.create_task(self._send_events(scope, send))
        disconnect = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait((events, disconnect), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (events, disconnect):
                task.cancel()
            problem, _ = await asyncio.gather(events, disconnect, return_exceptions=True)
        if isinstance(problem, Exception):
            raise problem

    async def _send_events(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        mark = _read_mark(scope)
        while not self._live.is_closed:
            changed = self._live.changed
            newest, parts = self._live.since(mark)
            if newest != mark:
                await _send(send, _event("change", parts, newest))
                mark = newest
            if await _is_set_within(changed, HEARTBEAT_SECONDS):
                await asyncio.sleep(BATCH_SECONDS)
            else:
                await _send(send, _event("beat", b"{}"))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(send: Send, content: bytes) -> None:
    for begin in range(0, len(content), PIECE_BYTES):
        piece = content[begin : begin + PIECE_BYTES]
        await send({"type": "http.response.body", "body": piece, "more_body": True})


def _read_mark(scope: Scope) -> str:
    """The mark of the reader's page, or of its last event before it reconnected."""
    last = Headers(scope=scope).get("last-event-id")
    return last or parse_qs(scope["query_string"].decode("latin-1")).get("mark", [""])[0]


def _event(name: str, data: bytes, mark: str = "") -> bytes:
    """Data is JSON, and thus one line."""
    identity = f"id: {mark}\n" if mark else ""
    return f"{identity}event: {name}\ndata: ".encode() + data + b"\n\n"


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
