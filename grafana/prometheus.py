"""The Prometheus configuration of a fleet, which discovers sidecars and services through the alert loop; pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from alerts.export.discovery import ELSEWHERE_LABEL

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
    sidecars = {"url": f"{alerts_url}/targets", "refresh_interval": refresh, **login}
    services = {"url": f"{alerts_url}/targets/services", "refresh_interval": refresh, **login}
    # The alert loop serves the pages of sidecars elsewhere, and is one of the services: all that needs the login too.
    # Sidecars of its own machine need none, and are not told it.
    content["scrape_configs"] = [
        _job("peerwatch", sidecars, host, _select("drop") if login else ()),
        *([_job("peerwatch-machines", sidecars, host, _select("keep")) | login] if login else ()),
        _job("peerwatch-services", services, host) | login,
    ]
    return content


def _select(action: str) -> tuple[dict[str, Any], ...]:
    """Of the discovered sidecars, those elsewhere."""
    return ({"source_labels": [ELSEWHERE_LABEL], "regex": ".+", "action": action},)


def _job(
    name: str, discovery: Mapping[str, Any], host: str | None, relabel: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    job: dict[str, Any] = {"job_name": name, "http_sd_configs": [dict(discovery)]}
    if relabel:
        job["relabel_configs"] = [dict(one) for one in relabel]
    if host:
        replace_loopback = {
            "source_labels": ["__address__"],
            "regex": r"127\.0\.0\.1:(\d+)",
            "target_label": "__address__",
            "replacement": f"{host}:$1",
        }
        job.setdefault("relabel_configs", []).append(replace_loopback)
    return job


def _duration(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"
