"""The alert loop's HTTP server."""

import contextlib
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from exporter.serving import asgi


def make_server(app: ASGIApp, tls: ssl.SSLContext | None) -> "Server":
    """A server for sockets that listen already; `should_exit` ends it."""
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
        # Wrong passwords are counted by address, which nobody may choose.
        proxy_headers=False,
    )
    return Server(settings, tls=tls)


class Server(asgi.Server):
    """Leaves the signals to the alert loop, which ends the streams before it ends the server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
