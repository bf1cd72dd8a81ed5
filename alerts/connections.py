"""The server's connections: one that sends no request in time is ended, and a reader that takes nothing can be cut."""

import asyncio
import resource

from uvicorn.protocols.http.h11_impl import H11Protocol

from alerts.stream import MAX_STREAMS

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
