"""How a Prometheus beside the fleet reaches the alert loop."""

from pathlib import Path
from typing import Any

from alerts.config import AlertsConfig


def prometheus_access(alerts: AlertsConfig, token: Path) -> dict[str, Any]:
    """The scrape-config fields for a Prometheus beside the fleet; it reads the token for each request."""
    if alerts.login is None and alerts.tls is None:
        return {}
    access: dict[str, Any] = {"authorization": {"credentials_file": str(token)}}
    if alerts.tls is not None:
        # Few certificates name 127.0.0.1, and nobody else can listen there.
        access["tls_config"] = {"insecure_skip_verify": True}
    return access
