"""Serves the rendered page over HTTP/1.1: gzip, optional TLS and basic auth, limits on what a client can occupy."""

import base64
import binascii
import hmac
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from exporter.bounded_reader import BoundedReader
from exporter.snapshot import Page

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_CONNECTIONS = 16
MAX_REQUEST_BYTES = 1 << 14
# Longer than any scrape interval in use, so that a scraper keeps its connection.
IDLE_SECONDS = 150.0
REQUEST_SECONDS = 10.0

LANDING_PAGE = (
    b"<!doctype html><html lang=en><title>Peerwatch sidecar</title>"
    b'<h1>Peerwatch sidecar</h1><p><a href="/metrics">Metrics</a></p></html>'
)


class Server(ThreadingMixIn, TCPServer):
    """Serves what `page()` returns. Raises OSError where the address cannot be bound."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        page: Callable[[], Page],
        *,
        stale_after_seconds: float,
        credentials: bytes | None = None,
        tls: "TlsFiles | None" = None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.page = page
        self.stale_after_seconds = stale_after_seconds
        self.credentials = credentials
        self.tls = tls
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handles the connection in a thread, or closes it while there are too many."""
        if self._slots.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
            except RuntimeError:  # no thread can be started
                self._slots.release()
                self.shutdown_request(request)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that disconnected, was too slow or did not speak TLS is not logged."""


class TlsFiles:
    """A certificate chain and its key, reloaded when the files change, as certificates are renewed in place."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises OSError or ssl.SSLError where they cannot be used."""
        self._cert, self._key = cert, key
        self._changed_at = self._read_times()
        self._context = self._load()

    def wrap(self, connection: socket.socket) -> ssl.SSLSocket:
        """Starts TLS; the handshake happens with the first read, in the connection's own thread."""
        try:
            changed_at = self._read_times()
            if changed_at != self._changed_at:
                self._context, self._changed_at = self._load(), changed_at
        except (OSError, ssl.SSLError):
            pass  # The new pair is half written: the old one is used until both are there.
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def _read_times(self) -> tuple[int, int]:
        return self._cert.stat().st_mtime_ns, self._key.stat().st_mtime_ns

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._cert, self._key)
        return context


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version, sys_version = "peerwatch", ""
    rfile: io.BufferedReader
    timeout = REQUEST_SECONDS
    server: Server

    def setup(self) -> None:
        if self.server.tls:
            self.request.settimeout(REQUEST_SECONDS)
            self.request = self.server.tls.wrap(self.request)
        super().setup()
        self.rfile.close()
        self._reader = BoundedReader(self.connection)
        self.rfile = io.BufferedReader(self._reader)

    def finish(self) -> None:
        super().finish()
        self.connection.close()  # TLS took the socket over from the server, which then cannot close it

    def handle_one_request(self) -> None:
        """Waits long for a request's first byte, and briefly for the rest."""
        self.close_connection = True
        try:
            self._reader.allow(seconds=IDLE_SECONDS, max_bytes=MAX_REQUEST_BYTES)
            if self.rfile.peek(1):
                self._reader.allow(seconds=REQUEST_SECONDS, max_bytes=MAX_REQUEST_BYTES)
                super().handle_one_request()
        except OSError:  # time-outs and TLS errors among them
            self.close_connection = True

    def do_GET(self) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that is not read must not be parsed as the next request
        path = self.path.partition("?")[0]
        if path == "/-/healthy":
            self._send_health()
        elif not self._is_authorized():
            self._send(HTTPStatus.UNAUTHORIZED, b"unauthorized\n", {"WWW-Authenticate": 'Basic realm="peerwatch"'})
        elif path == "/metrics":
            self._send_metrics()
        elif path == "/":
            self._send(HTTPStatus.OK, LANDING_PAGE, {"Content-Type": "text/html; charset=utf-8"})
        else:
            self._send(HTTPStatus.NOT_FOUND, b"not found; the metrics are at /metrics\n")

    do_HEAD = do_GET

    def _refuse(self) -> None:
        self.close_connection = True
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n", {"Allow": "GET, HEAD"})

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _refuse

    def _send_metrics(self) -> None:
        page = self.server.page()
        if self._is_stale(page):
            # Old numbers would look like a stalled peer; the scrape has to fail instead.
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"the collection is stale\n")
            return
        headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
        if accepts_gzip(self.headers.get("Accept-Encoding", "")):
            self._send(HTTPStatus.OK, page.compressed, headers | {"Content-Encoding": "gzip"})
        else:
            self._send(HTTPStatus.OK, page.plain, headers)

    def _send_health(self) -> None:
        if self._is_stale(self.server.page()):
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"the collection is stale\n")
        else:
            self._send(HTTPStatus.OK, b"healthy\n")

    def _is_stale(self, page: Page) -> bool:
        return time.monotonic() - page.rendered_at > self.server.stale_after_seconds

    def _is_authorized(self) -> bool:
        if self.server.credentials is None:
            return True
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True) if scheme.lower() == "basic" else b""
        except (binascii.Error, ValueError):
            given = b""
        return hmac.compare_digest(given, self.server.credentials)

    def _send(self, status: HTTPStatus, body: bytes, headers: dict[str, str] | None = None) -> None:
        fields = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))} | (headers or {})
        if self.close_connection:
            fields["Connection"] = "close"
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items())
        # In one piece: a head sent alone waits for the client's delayed acknowledgement.
        self.connection.settimeout(REQUEST_SECONDS)
        self.connection.sendall(head.encode("latin-1") + b"\r\n" + (b"" if self.command == "HEAD" else body))

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are not logged."""


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    for item in accept_encoding.lower().split(","):
        name, _, parameters = item.partition(";")
        if name.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
