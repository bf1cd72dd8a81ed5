"""What the alert loop knows at one moment, as the JSON of its API and as metrics."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Metric
from prometheus_client.registry import Collector

from alerts.evaluate import Key, Standing
from alerts.metrics import family
from alerts.outbox import RouteHealth
from alerts.reading import Reading
from alerts.restarts.policy import PHASE_METRIC, Record
from alerts.rules import discover
from alerts.scrape import Scrape
from alerts.state import AlertState

_NUMBERS = {
    "steps_total": ("trainer_steps_total", {}),
    "steps_per_second": ("trainer_steps_per_second", {}),
    "last_step_timestamp": ("trainer_last_step_timestamp_seconds", {}),
    "memory_bytes": ("trainer_memory_bytes", {"kind": "footprint"}),
    "memory_limit_bytes": ("trainer_memory_limit_bytes", {}),
    "rank": ("swarm_rank", {}),
    "ranked_peers": ("swarm_ranked_peers", {}),
    "reward_mean": ("trainer_reward_mean", {}),
    "reward_cumulative": ("swarm_reward_cumulative", {}),
    "round": ("swarm_round", {}),
    "stage": ("swarm_stage", {}),
}
_WHOLE = {"steps_total", "memory_bytes", "memory_limit_bytes", "rank", "ranked_peers", "round", "stage"}


@dataclass(frozen=True)
class Status:
    """The result of the latest evaluation, for readers who come at any time."""

    fleet: str
    now: float = 0.0
    scrapes: Mapping[str, Scrape] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing)


def describe_status(status: Status, deliveries: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """The JSON of /api/status; null where a value was not measured."""
    return {
        "fleet": status.fleet,
        "now": status.now,
        "peers": [_describe_peer(peer, scrape, status.standing) for peer, scrape in status.scrapes.items()],
        "alerts": describe_alerts(status.standing),
        "outbox": {
            "pending": sum(counts.get("pending", 0) for counts in deliveries.values()),
            "failed": sum(counts.get("expired", 0) for counts in deliveries.values()),
        },
    }


def describe_alerts(standing: Standing) -> list[dict[str, Any]]:
    """All troubles that are pending or firing, the oldest first."""
    troubles = [(key, state) for key, state in standing.states.items() if is_trouble(key.rule)]
    alerts = sorted(troubles, key=lambda one: (one[1].since, one[0]))
    return [_describe_alert(key, state) for key, state in alerts]


def is_trouble(rule: str) -> bool:
    """Whether people are shown the alerts of this rule; one that an older version had is shown."""
    found = discover().get(rule)
    return found is None or found.is_trouble


class AlertCollector(Collector):
    """The alert loop's own metrics, read off its objects when scraped."""

    def __init__(
        self, status: Status, results: Counter[str], pending: int, restarts: Mapping[str, Record] | None = None
    ) -> None:
        self._status = status
        self._restarts = restarts or {}
        self._results = results
        self._pending = pending

    def collect(self) -> Iterator[Metric]:
        states = self._status.standing.states
        counts = Counter((key.rule, state.severity) for key, state in states.items() if state.phase == "firing")
        yield family("alerts_firing", dict(sorted(counts.items())))
        yield family("alerts_deliveries_total", {(result,): count for result, count in sorted(self._results.items())})
        yield family("alerts_outbox_pending", self._pending)
        phases: dict[tuple[str, ...], float] = {
            (peer, record.phase): 1.0 for peer, record in sorted(self._restarts.items())
        }
        yield family(PHASE_METRIC, phases)
        if self._status.now:
            yield family("alerts_last_evaluation_timestamp_seconds", self._status.now)


@dataclass(frozen=True)
class RouteStatus:
    """A route on the status page: its name only, never its URL."""

    name: str
    pending: int
    held: int
    expired: int
    health: RouteHealth


def _describe_peer(peer: str, scrape: Scrape, standing: Standing) -> dict[str, Any]:
    reading = scrape.reading or Reading()
    info = reading.labels("trainer_info")
    described: dict[str, Any] = {
        "peer": peer,
        "peer_id": info.get("peer_id") or None,
        "nickname": info.get("nickname") or None,
        "state": reading.state(),
        "up": reading.is_up(),
        "sidecar_up": scrape.reading is not None,
    }
    for name, (metric, labels) in _NUMBERS.items():
        value = reading.value(metric, **labels)
        described[name] = int(value) if value is not None and name in _WHOLE else value
    described["alerts"] = sorted(
        key.rule for key, state in standing.states.items() if key.peer == peer and state.phase == "firing"
    )
    return described


def _describe_alert(key: Key, state: AlertState) -> dict[str, Any]:
    return {
        "rule": key.rule,
        "peer": key.peer,
        "severity": state.severity,
        "state": state.phase,
        "since": state.since,
        "summary": state.summary,
    }
