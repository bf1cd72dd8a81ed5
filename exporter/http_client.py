"""Small HTTP responses with a total time-out, on http.client.

urllib and the usual HTTP libraries bound the time between two bytes, not that of the whole response.
"""

import base64
import http.client
import io
import socket
import ssl
import time
from functools import cached_property
from urllib.parse import SplitResult, unquote, urlsplit

from exporter.bounded_reader import BoundedReader

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"}


class ReadError(Exception):
    """No usable response; the text says why."""


class HttpClient:
    """Reads from one service: no redirects, no proxies, no response beyond a size or a time limit."""

    def __init__(self, *, timeout_seconds: float = 2.0, max_bytes: int = 1 << 16) -> None:
        self._seconds = timeout_seconds
        self._max_bytes = max_bytes

    def get(self, url: str) -> tuple[int, str, bytes]:
        """Status, content type without parameters, body. Raises ReadError."""
        try:
            return self._read(urlsplit(url), "GET", None)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ReadError(f"{url}: {_explain(error)}") from None

    def post(self, url: str, body: bytes) -> tuple[int, str, bytes]:
        """The same for JSON that is sent. The error names the host only: the path of such a service may be its key."""
        try:
            return self._read(urlsplit(url), "POST", body)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ReadError(f"{name_host(url)}: {_explain(error)}") from None

    def _read(self, url: SplitResult, method: str, body: bytes | None) -> tuple[int, str, bytes]:
        deadline = time.monotonic() + self._seconds
        connection = self._connect(url)
        try:
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            kind = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, target, body, _HEADERS | kind | _authorize(url))
            with _Response(connection.sock, deadline - time.monotonic(), self._max_bytes) as response:
                response.begin()
                content_type = response.getheader("content-type", "").partition(";")[0].strip().lower()
                return response.status, content_type, response.read()
        finally:
            connection.close()

    def _connect(self, url: SplitResult) -> http.client.HTTPConnection:
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("not an http:// or https:// URL")
        if url.scheme == "https":
            return http.client.HTTPSConnection(url.hostname, url.port, timeout=self._seconds, context=self._tls)
        return http.client.HTTPConnection(url.hostname, url.port, timeout=self._seconds)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def name_host(url: str) -> str:
    """Scheme, host and port of a URL: what of it may be shown, as the rest can hold a password or a key."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return "a URL that is none"
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


def _explain(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _authorize(url: SplitResult) -> dict[str, str]:
    if url.username is None:
        return {}
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


class _Response(http.client.HTTPResponse):
    """A response with a deadline and a size limit."""

    def __init__(self, connection: socket.socket, seconds: float, max_bytes: int) -> None:
        super().__init__(connection, method="GET")
        self.fp.close()
        reader = BoundedReader(connection)
        reader.allow(seconds=seconds, max_bytes=max_bytes)
        self.fp = io.BufferedReader(reader)
