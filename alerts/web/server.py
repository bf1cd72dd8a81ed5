"""The HTTP server: a connection that sends no request in time is ended, a reader that takes nothing can be cut."""

import asyncio
import contextlib
import resource
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from alerts.web.stream import MAX_STREAMS

# Beyond the open pages: scrapes, commands, pages that load.
MAX_CONNECTIONS = MAX_STREAMS + 100
REQUEST_SECONDS = 10.0
# Beside the connections: sidecars, database, notifications.
_WANTED_FILES = 2048


class Connection(H11Protocol):
    """Tells the application as state `cut` how to drop it, as closing would wait for a reader that never reads."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "cut": transport.abort}
        self._waiting = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self.cycle is None:
            self.transport.abort()


def allow_open_files() -> None:
    """Lets this process hold as many connections as it serves: launchd allows 256 files at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(_WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def make_server(app: ASGIApp, tls: ssl.SSLContext | None) -> "Server":
    """A server for sockets that listen already; it leaves signals to the loop."""
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
    """Leaves the signals to the loop, which ends it, and sleeps until then where uvicorn looks ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._ending.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
