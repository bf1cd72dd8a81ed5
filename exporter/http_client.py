"""Small answers over HTTP within a fixed time; the sidecar's only importer of httpx.

httpx runs here on a transport of our own. Its usual one bounds the time between two bytes, not that of the answer,
and brings connection pools, proxies and an asynchronous twin: 1.5 MB that a sidecar with one address has no use for.
"""

import http.client
import io
import socket
import ssl
import sys
import time
from functools import cached_property

from exporter.bounded_reader import BoundedReader

# httpx imports its command line along with the library where click and rich happen to be installed: 5 MB that no
# sidecar needs. None in this place makes that import fail as it does where they are not installed.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

import httpx  # noqa: E402


class ReadError(Exception):
    """No usable answer; the text says why."""


class HttpClient:
    """Reads from one service: no redirects, no proxies, no answer beyond a size or a time."""

    def __init__(self, *, timeout_seconds: float = 2.0, max_bytes: int = 1 << 16) -> None:
        # verify concerns the usual transport only, and would load the certificate store: ours verifies where it
        # speaks TLS.
        self._client = httpx.Client(
            transport=_DeadlineTransport(timeout_seconds, max_bytes), trust_env=False, verify=False
        )

    def get(self, url: str) -> tuple[int, str, bytes]:
        """Status, content type without parameters, body. Raises ReadError."""
        try:
            response = self._client.get(url, headers={"Accept": "application/json", "Accept-Encoding": "identity"})
        except (httpx.HTTPError, httpx.InvalidURL, OSError, http.client.HTTPException) as error:
            raise ReadError(f"{url}: {getattr(error, 'strerror', None) or error or type(error).__name__}") from None
        content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return response.status_code, content_type, response.content


class _DeadlineTransport(httpx.BaseTransport):
    """One connection per request, one deadline from connecting to the last byte."""

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + self._seconds
        connection = self._connect(request.url)
        try:
            headers = {name: value for name, value in request.headers.items() if name != "connection"}
            connection.request(request.method, request.url.raw_path.decode(), headers=headers | {"Connection": "close"})
            with _Answer(connection.sock, deadline - time.monotonic(), self._max_bytes) as answer:
                answer.begin()
                # Without the other headers: an encoding that was not asked for stays undecoded, however far it expands.
                headers = {"content-type": answer.getheader("content-type", "")}
                return httpx.Response(answer.status, headers=headers, content=answer.read())
        finally:
            connection.close()

    def _connect(self, url: httpx.URL) -> http.client.HTTPConnection:
        if url.scheme == "https":
            return http.client.HTTPSConnection(url.host, url.port, timeout=self._seconds, context=self._tls)
        return http.client.HTTPConnection(url.host, url.port, timeout=self._seconds)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


class _Answer(http.client.HTTPResponse):
    """A response that is read in bounds."""

    def __init__(self, connection: socket.socket, seconds: float, max_bytes: int) -> None:
        super().__init__(connection, method="GET")
        self.fp.close()
        reader = BoundedReader(connection)
        reader.allow(seconds=seconds, max_bytes=max_bytes)
        self.fp = io.BufferedReader(reader)
