"""A keep-alive connection that requests one page repeatedly: a sidecar's, or the board.

A general HTTP client spends more time on a request than the rest of the loop on its answer; this one requests one page
and accepts nothing but that page. httptools parses the responses.
"""

import asyncio
import base64
import ssl
import string
from collections.abc import Callable
from typing import Generic, TypeVar
from urllib.parse import quote, unquote, urlsplit

import httptools

from alerts.i18n.translatable import say

MAX_PAGE_BYTES = 512 * 1024
MAX_HEAD_BYTES = 64 * 1024
BUFFER_BYTES = 64 * 1024

Kept = TypeVar("Kept")


class RefusedError(Exception):
    """A response that is refused, with the reason as its text."""


class BrokenError(Exception):
    """The connection ended, or broke the protocol, before the response was complete."""


class PageConnection(asyncio.BufferedProtocol, Generic[Kept]):
    """Requests the page at `url`; `tls` is for https only, `login` is `user:password`.

    All connections may share the receive `buffer`.

    `keep` is given each page as it arrives, so that the pages of many sidecars are never in memory together.
    """

    def __init__(
        self,
        url: str,
        buffer: memoryview,
        keep: Callable[[bytearray], Kept],
        tls: ssl.SSLContext | None = None,
        *,
        login: str = "",
        max_bytes: int = MAX_PAGE_BYTES,
    ) -> None:
        parts = urlsplit(url)
        self._host, self._tls = parts.hostname or "", tls
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._request = _render_request(url, login)
        self._buffer = buffer
        self._keep = keep
        self._max_bytes = max_bytes
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Kept] | None = None
        self._start_message()

    async def fetch(self) -> Kept:
        """The page as `keep` returns it. Raises OSError without a connection, BrokenError, RefusedError, and what
        `keep` raises.

        One request at a time; cancelling it closes the connection.
        """
        if self._transport is not None:
            try:
                return await self._ask(self._transport)
            except BrokenError:
                # The sidecar may have closed the idle connection, or exited, before the request reached it.
                if self._received:
                    raise
        return await self._ask(await self._connect())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    async def _connect(self) -> asyncio.Transport:
        self._start_message()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: self, self._host, self._port, ssl=self._tls)
        self._parser = httptools.HttpResponseParser(self)
        self._transport = transport
        return transport

    async def _ask(self, transport: asyncio.Transport) -> Kept:
        self._start_message()
        self._answer = asyncio.get_running_loop().create_future()
        transport.write(self._request)
        try:
            return await self._answer
        except BaseException:
            self.close()
            raise
        finally:
            self._answer = None

    def _start_message(self) -> None:
        self._body = bytearray()
        self._received = 0
        self._is_head_complete = False
        self._has_length = False

    def _finish(self, error: Exception | None = None) -> None:
        if self._answer is None or self._answer.done():
            return
        if error is None:
            try:
                self._answer.set_result(self._keep(self._body))
            except Exception as failure:  # noqa: BLE001  The caller gets it.
                self._answer.set_exception(failure)
        else:
            self._answer.set_exception(error)
        self._body = bytearray()

    # Called by asyncio.

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._received += nbytes
        if self._answer is None:  # There was no request.
            self.close()
            return
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except httptools.HttpParserError:
            self._finish(BrokenError())
        if not self._is_head_complete and self._received > MAX_HEAD_BYTES:
            self._finish(BrokenError())

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        # A response without a length ends with the connection.
        is_complete = exc is None and self._is_head_complete and not self._has_length
        self._finish(None if is_complete else BrokenError())

    # Called by httptools.

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.done():  # A second response to one request.
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._has_length = True
        # A compressed page could expand to any size, and none was requested.
        elif name == b"content-encoding" and value.lower() != b"identity":
            self._finish(RefusedError(say("the page is compressed although that was not asked for")))

    def on_headers_complete(self) -> None:
        self._is_head_complete = True
        status = self._parser.get_status_code()
        if status != 200:
            self._finish(RefusedError(say("it answered {status}", status=status)))

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > self._max_bytes:
            self._finish(RefusedError(say("the page is larger than {most} KiB", most=self._max_bytes // 1024)))

    def on_message_complete(self) -> None:
        self._finish()
        if not self._parser.should_keep_alive():
            self.close()


def _render_request(url: str, login: str) -> bytes:
    parts = urlsplit(url)
    target = quote(parts.path or "/", safe=string.punctuation)
    if parts.query:
        target += "?" + quote(parts.query, safe=string.punctuation)
    host = parts.netloc.rpartition("@")[2]
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {host if host.isascii() else host.encode('idna').decode()}",
        "Accept: text/plain;version=0.0.4",
        "Accept-Encoding: identity",
        "User-Agent: peerwatch",
    ]
    if not login and parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    if login:
        lines.append(f"Authorization: Basic {base64.b64encode(login.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")
