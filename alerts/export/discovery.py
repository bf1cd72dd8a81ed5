"""Prometheus' HTTP service discovery: the sidecars, and the services beside them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from alerts.config import AlertsConfig
from alerts.scraping.target import Target
from exporter.serving.listen_address import split_listen

# Where the page of a sidecar elsewhere can be read here.
MACHINE_PAGE = "/api/machines/{machine}/peers/{peer}/metrics"
# A label for relabelling alone, of those that are read so.
ELSEWHERE_LABEL = "__meta_peerwatch_elsewhere"


def describe_target(fleet: str, target: Target, here: str) -> dict[str, Any]:
    """A sidecar in the format of Prometheus' HTTP service discovery.

    One elsewhere is read at `here`, the URL of this alert loop: it may ask for a password, or cannot be reached at all.
    """
    labels = {**target.labels, "fleet": fleet, "peer": target.peer}
    if not target.machine:
        return _describe(target.url, labels)
    # Rules join what one sidecar says by `instance`, which would be this alert loop's for all.
    labels |= {"machine": target.machine, "instance": f"{target.machine}/{target.peer}", ELSEWHERE_LABEL: "yes"}
    return _describe(here + MACHINE_PAGE.format(machine=target.machine, peer=target.peer), labels)


def describe_services(config: AlertsConfig) -> list[dict[str, Any]]:
    """The alert loop itself and the leaderboard, labelled with `service`: their metrics are of no single peer."""
    host, port = split_listen(config.listen)
    # A wildcard address is for listening, not for connecting to.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    scheme = "https" if config.tls is not None else "http"
    urls = {"alerts": f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"}
    if config.leaderboard_url:
        urls["leaderboard"] = config.leaderboard_url
    return [_describe(url, {"fleet": config.fleet, "service": service}) for service, url in urls.items()]


def _describe(address: str, labels: Mapping[str, str]) -> dict[str, Any]:
    url = urlsplit(address)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    described = dict(labels)
    if url.scheme != "http":
        described["__scheme__"] = url.scheme
    if url.path not in ("", "/metrics"):
        described["__metrics_path__"] = url.path
    return {"targets": [f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}"], "labels": described}
