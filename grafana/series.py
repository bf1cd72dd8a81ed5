"""Selectors over the metrics that Peerwatch exports; a name or label that nothing exports is an error."""

from functools import cache

from alerts import metrics as alert_metrics
from exporter import metrics as peer_metrics
from exporter.leaderboard import measures

# What service discovery and Prometheus itself add to every series.
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
    """The same for the alert loop and the leaderboard."""
    known = {metric.name: frozenset(metric.labels) for metric in alert_metrics.ALL}
    return known | measures.series()


def of_peers(name: str, **labels: str) -> str:
    """A selector of the chosen peers' series. Raises KeyError or ValueError for what no sidecar exports."""
    return _select(name, (peer_series() | _OF_PROMETHEUS)[name], 'fleet=~"$fleet",peer=~"$peer"', labels)


def of_services(name: str, **labels: str) -> str:
    """A selector of the alert loop's or the leaderboard's series in the chosen fleets."""
    return _select(name, (service_series() | _OF_PROMETHEUS)[name], 'fleet=~"$fleet"', labels)


def of_alerts(**labels: str) -> str:
    """A selector of the alerts that fire about the chosen peers, or about no peer but the machine."""
    firing = {"alertstate": "firing", **labels}
    return _select("ALERTS", _OF_PROMETHEUS["ALERTS"], 'fleet=~"$fleet",peer=~"$peer|"', firing)


def starts_of_alerts() -> str:
    """A selector of the times when alerts about them became active; it has no label of their state."""
    return _select("ALERTS_FOR_STATE", _OF_PROMETHEUS["ALERTS_FOR_STATE"], 'fleet=~"$fleet",peer=~"$peer|"', {})


def _select(name: str, known: frozenset[str], chosen: str, labels: dict[str, str]) -> str:
    unknown = set(labels) - known - _TARGET_LABELS
    if unknown:
        raise ValueError(f"{name} has no label {', '.join(sorted(unknown))}")
    return f"{name}{{{','.join([chosen, *(f'{label}={_quoted(value)}' for label, value in labels.items())])}}}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
