"""Selectors over the metrics that Peerwatch exports; an unknown name or label is an error."""

from functools import cache

from alerts import metrics as alert_metrics
from exporter import metrics as peer_metrics
from exporter.leaderboard import measures

# Added to every series by service discovery and Prometheus.
_TARGET_LABELS = frozenset({"fleet", "peer", "service", "instance", "job"})
_OF_PROMETHEUS = {
    "up": frozenset[str](),
    "ALERTS": frozenset({"alertname", "alertstate", "severity"}),
    "ALERTS_FOR_STATE": frozenset({"alertname", "severity"}),
}


@cache
def peer_series() -> dict[str, frozenset[str]]:
    """The labels of each sample that a sidecar serves, by the sample's name."""
    return {
        name: frozenset(metric.labels) | ({"le"} if name.endswith("_bucket") else frozenset())
        for metric in peer_metrics.ALL
        for name in metric.sample_names()
    }


@cache
def service_series() -> dict[str, frozenset[str]]:
    """The labels of each sample of the alert loop and the leaderboard, by the sample's name."""
    known = {metric.name: frozenset(metric.labels) for metric in alert_metrics.ALL}
    return known | measures.series()


def of_peers(name: str, **labels: str) -> str:
    """A selector of the selected peers' series. Raises KeyError or ValueError if no sidecar exports it."""
    return _select(name, (peer_series() | _OF_PROMETHEUS)[name], 'fleet=~"$fleet",peer=~"$peer"', labels)


def of_services(name: str, **labels: str) -> str:
    """A selector of the alert loop's or the leaderboard's series in the selected fleets."""
    return _select(name, (service_series() | _OF_PROMETHEUS)[name], 'fleet=~"$fleet"', labels)


def of_alerts(**labels: str) -> str:
    """A selector of the firing alerts of the selected peers, and of those without a peer, such as the machine's."""
    firing = {"alertstate": "firing", **labels}
    return _select("ALERTS", _OF_PROMETHEUS["ALERTS"], 'fleet=~"$fleet",peer=~"$peer|"', firing)


def starts_of_alerts() -> str:
    """A selector of the times when these alerts became active; the series has no alertstate label."""
    return _select("ALERTS_FOR_STATE", _OF_PROMETHEUS["ALERTS_FOR_STATE"], 'fleet=~"$fleet",peer=~"$peer|"', {})


def _select(name: str, known: frozenset[str], selected: str, labels: dict[str, str]) -> str:
    unknown = set(labels) - known - _TARGET_LABELS
    if unknown:
        raise ValueError(f"{name} has no label {', '.join(sorted(unknown))}")
    return f"{name}{{{','.join([selected, *(f'{label}={_quoted(value)}' for label, value in labels.items())])}}}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
