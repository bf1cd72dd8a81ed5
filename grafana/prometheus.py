"""The Prometheus configuration of a fleet, which discovers sidecars and services through the alert loop; pure."""

from collections.abc import Mapping
from typing import Any

RULES_FILE = "rules.yaml"
# How a container reaches services on this machine's loopback.
DOCKER_HOST = "host.docker.internal"

_DISCOVERY_SECONDS = 30.0
_MAX_TIMEOUT_SECONDS = 10.0


def configuration(
    alerts_url: str,
    *,
    interval_seconds: float,
    alertmanager: str | None = None,
    host: str | None = None,
    access: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of prometheus.yaml. `host` replaces 127.0.0.1 in the discovered addresses.

    `access` holds Prometheus' fields for the login and certificate of the alert loop, if it has any.

    `alertmanager` is HOST:PORT. Rules are read from `RULES_FILE` beside the configuration.
    """
    interval, login = _duration(interval_seconds), dict(access or {})
    content: dict[str, Any] = {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": _duration(min(interval_seconds, _MAX_TIMEOUT_SECONDS)),
            "evaluation_interval": interval,
        },
        "rule_files": [RULES_FILE],
    }
    if alertmanager:
        content["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    refresh = _duration(min(2 * interval_seconds, _DISCOVERY_SECONDS))
    content["scrape_configs"] = [
        _job("peerwatch", {"url": f"{alerts_url}/targets", "refresh_interval": refresh, **login}, host),
        # The alert loop is one of the services, and its metrics need the login too.
        _job(
            "peerwatch-services", {"url": f"{alerts_url}/targets/services", "refresh_interval": refresh, **login}, host
        )
        | login,
    ]
    return content


def _job(name: str, discovery: Mapping[str, Any], host: str | None) -> dict[str, Any]:
    job: dict[str, Any] = {"job_name": name, "http_sd_configs": [dict(discovery)]}
    if host:
        replace_loopback = {
            "source_labels": ["__address__"],
            "regex": r"127\.0\.0\.1:(\d+)",
            "target_label": "__address__",
            "replacement": f"{host}:$1",
        }
        job["relabel_configs"] = [replace_loopback]
    return job


def _duration(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"
