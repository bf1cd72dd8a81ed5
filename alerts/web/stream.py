"""Brings the changes of the status page to those who look, as server-sent events.

No queue: each reader is told what has changed since what it took last, so that a slow one skips to the latest state.
One that takes nothing for a while is cut off, and their number is bounded.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from alerts.web.live_page import LivePage

MAX_STREAMS = 250
BEAT_SECONDS = 15.0
# How long a reader may take nothing of what waits for it.
STALLED_SECONDS = 20.0
# A control that is clicked and a round that ends at the same moment are told together.
PAUSE_SECONDS = 0.1
# Small pieces, so that what waits for a reader who takes nothing stays small.
PIECE_BYTES = 16 * 1024
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
)

log = logging.getLogger(__name__)


class Stream:
    """The ASGI application behind /api/stream."""

    def __init__(
        self,
        live: LivePage,
        headers: Mapping[str, str],
        stalled_seconds: float = STALLED_SECONDS,
    ) -> None:
        self._live = live
        self._headers = [*_HEADERS, *((name.lower().encode(), value.encode()) for name, value in headers.items())]
        self._stalled_seconds = stalled_seconds
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
        tell = asyncio.create_task(self._tell(scope, send))
        leave = asyncio.create_task(_wait_for_end(receive))
        try:
            await asyncio.wait((tell, leave), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (tell, leave):
                task.cancel()
            trouble, _ = await asyncio.gather(tell, leave, return_exceptions=True)
        if isinstance(trouble, TimeoutError):
            log.info("a reader of the status page took nothing for %g s and was cut off", self._stalled_seconds)
            scope["state"]["cut"]()
            # Lets the server notice that the connection is gone.
            await asyncio.sleep(0)
        elif isinstance(trouble, Exception):
            raise trouble

    async def _tell(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        mark = _known(scope)
        while not self._live.is_closed:
            pulse = self._live.pulse
            newest, told = self._live.since(mark)
            if newest != mark:
                await self._send(send, _event("change", told, newest))
                mark = newest
            if await _is_set_within(pulse, BEAT_SECONDS):
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                await self._send(send, _event("beat", b"{}"))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, content: bytes) -> None:
        async with asyncio.timeout(self._stalled_seconds):
            for begin in range(0, len(content), PIECE_BYTES):
                piece = content[begin : begin + PIECE_BYTES]
                await send({"type": "http.response.body", "body": piece, "more_body": True})


def _known(scope: Scope) -> str:
    """What the reader has already: the mark of its page, or of the last event before its connection broke."""
    last = Headers(scope=scope).get("last-event-id")
    return last or parse_qs(scope["query_string"].decode("latin-1")).get("mark", [""])[0]


def _event(name: str, data: bytes, mark: str = "") -> bytes:
    """Data is JSON, and thus one line."""
    identity = f"id: {mark}\n" if mark else ""
    return f"{identity}event: {name}\ndata: ".encode() + data + b"\n\n"


async def _is_set_within(pulse: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await pulse.wait()
    return pulse.is_set()


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
