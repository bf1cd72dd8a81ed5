"""What the sidecar answers to each request: the page, its health, or why not."""

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from exporter.page.http_request import Request
from exporter.serving.host_names import BROWSER_HEADER, HostRule
from exporter.snapshot import Page

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LANDING_PAGE = (
    b"<!doctype html><html lang=en><title>Peerwatch sidecar</title>"
    b'<h1>Peerwatch sidecar</h1><p><a href="/metrics">Metrics</a></p></html>'
)
_WRONG_HOST = {
    HTTPStatus.BAD_REQUEST: b"the request needs one well-formed Host header\n",
    HTTPStatus.MISDIRECTED_REQUEST: b"unknown host name; use the sidecar's address, or name it with --allowed-host\n",
}


class Answer(NamedTuple):
    """Status, body and the fields that describe it."""

    status: HTTPStatus
    body: bytes
    fields: Mapping[str, str] = MappingProxyType({})

    def encode(self, *, with_body: bool, keeps_alive: bool) -> bytes:
        """The answer as it is sent, in one piece: a head sent alone waits for a delayed acknowledgement."""
        fields = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(self.body)), **self.fields}
        if not keeps_alive:
            fields["Connection"] = "close"
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}", *(f"{k}: {v}" for k, v in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (self.body if with_body else b"")


class Answers:
    """Answers requests with what `page()` returns, unless that is too old, and `/machine` with `machine()`, if any."""

    def __init__(
        self,
        page: Callable[[], Page],
        *,
        stale_after_seconds: float,
        hosts: HostRule,
        credentials: bytes | None = None,
        machine: Callable[[], bytes] | None = None,
    ) -> None:
        self._page = page
        self._stale_after_seconds = stale_after_seconds
        self._hosts = hosts
        self._credentials = credentials
        self._machine = machine

    def answer(self, request: Request) -> Answer:
        """The answer to a request."""
        status = self._hosts.judge(request.fields.get("host", []), from_browser=BROWSER_HEADER in request.fields)
        path = request.target.partition("?")[0]
        if status in _WRONG_HOST:
            return Answer(status, _WRONG_HOST[status])
        if request.method not in ("GET", "HEAD"):
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n", {"Allow": "GET, HEAD"})
        if path == "/-/healthy":
            return self._stale(self._page()) or Answer(HTTPStatus.OK, b"healthy\n")
        if not self._is_authorized(request):
            return Answer(HTTPStatus.UNAUTHORIZED, b"unauthorized\n", {"WWW-Authenticate": 'Basic realm="peerwatch"'})
        if path == "/metrics":
            return self._metrics(request)
        if path == "/machine" and self._machine is not None:
            return Answer(HTTPStatus.OK, self._machine(), {"Content-Type": "application/json"})
        if path == "/":
            return Answer(HTTPStatus.OK, LANDING_PAGE, {"Content-Type": "text/html; charset=utf-8"})
        return Answer(HTTPStatus.NOT_FOUND, b"not found; the metrics are at /metrics\n")

    def _metrics(self, request: Request) -> Answer:
        page = self._page()
        fields = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
        if accepts_gzip(",".join(request.fields.get("accept-encoding", []))):
            found = Answer(HTTPStatus.OK, page.compressed, fields | {"Content-Encoding": "gzip"})
        else:
            found = Answer(HTTPStatus.OK, page.plain, fields)
        return self._stale(page) or found

    def _stale(self, page: Page) -> Answer | None:
        # Old numbers would look like a stalled peer; the scrape has to fail instead.
        if time.monotonic() - page.rendered_at > self._stale_after_seconds:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"the collection is stale\n")
        return None

    def _is_authorized(self, request: Request) -> bool:
        if self._credentials is None:
            return True
        scheme, _, encoded = request.field("authorization").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True) if scheme.lower() == "basic" else b""
        except (binascii.Error, ValueError):
            given = b""
        return hmac.compare_digest(given, self._credentials)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    for item in accept_encoding.lower().split(","):
        name, _, parameters = item.partition(";")
        if name.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
