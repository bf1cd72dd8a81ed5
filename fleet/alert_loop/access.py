"""How the commands reach the alert loop: with the token that only its owner reads, by the certificate that it has."""

import contextlib
import ssl
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from alerts.config import TOKEN_FILE, AlertsConfig
from fleet.configuration.compose import alerts_url
from fleet.configuration.load import Loaded

_END = "-----END CERTIFICATE-----"


class Access(NamedTuple):
    """The alert loop's address, its state folder, and the file of its certificate where it has one."""

    url: str
    folder: Path
    certificate: Path | None = None

    @classmethod
    def of(cls, loaded: Loaded) -> "Access":
        """That of a configuration that is usable."""
        assert loaded.config is not None
        alerts = loaded.composition.alerts
        tls = alerts.tls if alerts is not None else None
        return cls(alerts_url(loaded.config), loaded.folder.alerts, tls.certificate if tls is not None else None)

    def open(self, timeout_seconds: float) -> httpx.Client:
        """A client whose requests carry the token. Raises OSError where the certificate cannot be read."""
        # Without the environment's proxies, which could not reach this machine's loopback.
        return httpx.Client(
            base_url=self.url,
            timeout=timeout_seconds,
            trust_env=False,
            # Without TLS there is nothing to verify, and the store of authorities takes long to load.
            verify=_pin(self.certificate) if self.certificate is not None else False,
            auth=_Token(self.folder / TOKEN_FILE),
        )


def prometheus_access(alerts: AlertsConfig, token: Path) -> dict[str, Any]:
    """The fields with which a Prometheus beside the fleet reaches the loop; it reads the token for each request."""
    if alerts.login is None and alerts.tls is None:
        return {}
    access: dict[str, Any] = {"authorization": {"credentials_file": str(token)}}
    if alerts.tls is not None:
        # It asks for 127.0.0.1, which hardly any certificate names; nobody else can listen there in the loop's place.
        access["tls_config"] = {"insecure_skip_verify": True}
    return access


class _Token(httpx.Auth):
    """Reads the token for each request: the loop makes a new one at each start."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        # Without a login, the loop answers most requests without a token too.
        with contextlib.suppress(OSError):
            request.headers["Authorization"] = f"Bearer {self._path.read_text().strip()}"
        yield request


def _pin(certificate: Path) -> ssl.SSLContext:
    """Trusts that one certificate and nothing else: it may be made by hand, and names no loopback address."""
    first, end, _ = certificate.read_text().partition(_END)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=first + end)
    return context
