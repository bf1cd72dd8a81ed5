"""How commands reach the alert loop: its address, API token and certificate."""

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import httpx

from alerts.config import TOKEN_FILE
from exporter.serving.trust import trust
from fleet.configuration.compose import alerts_url
from fleet.configuration.load import Loaded


class Access(NamedTuple):
    """The alert loop's URL, its state folder, and its certificate file if it has one."""

    url: str
    folder: Path
    certificate: Path | None = None

    @classmethod
    def of(cls, loaded: Loaded) -> "Access":
        """The access for a usable configuration."""
        assert loaded.config is not None
        alerts = loaded.composition.alerts
        tls = alerts.tls if alerts is not None else None
        return cls(alerts_url(loaded.config), loaded.folder.alerts, tls.certificate if tls is not None else None)

    def open(self, timeout_seconds: float) -> httpx.Client:
        """A client whose requests carry the token. Raises OSError where the certificate cannot be read."""
        # The environment's proxies cannot reach this machine's loopback.
        return httpx.Client(
            base_url=self.url,
            timeout=timeout_seconds,
            trust_env=False,
            # Without TLS there is nothing to verify, and the CA store is slow to load.
            verify=trust(self.certificate) if self.certificate is not None else False,
            auth=_Token(self.folder / TOKEN_FILE),
        )


class _Token(httpx.Auth):
    """Reads the token for each request: each start of the loop makes a new one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        # Without a login, most requests need no token.
        with contextlib.suppress(OSError):
            request.headers["Authorization"] = f"Bearer {self._path.read_text().strip()}"
        yield request
