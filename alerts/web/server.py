"""The alert loop's HTTP server."""

import contextlib
import math
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from exporter.serving import asgi

# Beyond this, connections without a request give way anyway.
_LONGEST_KEEP_ALIVE_SECONDS = 55.0


def make_server(app: ASGIApp, tls: ssl.SSLContext | None, *, interval_seconds: float = 0.0) -> "Server":
    """A server for sockets that listen already; `should_exit` ends it.

    Who asks, or pushes, once in `interval_seconds` keeps one connection.
    """
    settings = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        server_header=False,
        date_header=False,  # it would be the time of the start
        timeout_keep_alive=math.ceil(min(5.0 + interval_seconds, _LONGEST_KEEP_ALIVE_SECONDS)),
        # Wrong passwords are counted by address, which nobody may choose.
        proxy_headers=False,
    )
    return Server(settings, tls=tls)


class Server(asgi.Server):
    """Leaves the signals to the alert loop, which ends the streams before it ends the server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
