"""The HTTP server. A connection without a request in time is dropped; the application can drop any other."""

import asyncio
import contextlib
import resource
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from alerts.web.stream import MAX_STREAMS

# Open pages, and scrapes, commands and page loads.
MAX_CONNECTIONS = MAX_STREAMS + 100
REQUEST_SECONDS = 10.0
# Connections of readers, sidecars and notifications, and the database.
_WANTED_FILES = 2048


class Connection(H11Protocol):
    """Gives the application `cut`, which drops the connection: closing would wait for a reader that never reads."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "cut": transport.abort}
        self._request_timeout = self.loop.call_later(REQUEST_SECONDS, self._drop_unused)

    def connection_lost(self, exc: Exception | None) -> None:
        self._request_timeout.cancel()
        super().connection_lost(exc)

    def _drop_unused(self) -> None:
        if self.cycle is None:
            self.transport.abort()


def allow_open_files() -> None:
    """Raises the limit of open files to what the connections need: launchd starts with 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(_WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def make_server(app: ASGIApp, tls: ssl.SSLContext | None) -> "Server":
    """A server for sockets that listen already; `should_exit` ends it."""
    settings = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=1,
        server_header=False,
        date_header=False,  # it would be the time of the start
        # Wrong passwords are counted by address, which nobody may choose.
        proxy_headers=False,
    )
    settings.load()
    settings.ssl = tls
    return Server(settings)


class Server(uvicorn.Server):
    """Leaves the signals to the alert loop, which ends the streams before it ends the server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
