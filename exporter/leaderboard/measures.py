"""The leaderboard's own metrics."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, disable_created_metrics, generate_latest

from exporter.leaderboard.field import METRICS, Field

REASONS = ("form", "peer_id", "reward", "expiry", "crowd")


def series() -> dict[str, frozenset[str]]:
    """The labels of each sample that the service serves, by the sample's name."""
    measured = {sample.name: frozenset(sample.labels) for family in Measures().families() for sample in family.samples}
    return measured | {metric.name: frozenset(metric.labels) for metric in METRICS}


class Measures:
    """Every metric of the service, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()
        self._registry = CollectorRegistry()
        registry = self._registry
        self.last_poll = Gauge(
            "leaderboard_last_poll_timestamp_seconds",
            "When the swarm's DHT was last read; 0 for never",
            registry=registry,
        )
        self.polls = Counter("leaderboard_polls", "Polls of the DHT, including failed ones", registry=registry)
        self.poll_success = Gauge(
            "leaderboard_poll_success",
            "Whether the last poll could read the swarm: 1 or 0; the board stays as it was read before",
            registry=registry,
        )
        self.poll_failures = Counter(
            "leaderboard_poll_failures", "Polls that read nothing from the DHT", registry=registry
        )
        self.store_failures = Counter(
            "leaderboard_store_failures",
            "Failed saves of the board; the next poll retries",
            registry=registry,
        )
        self.set_aside = Counter(
            "leaderboard_databases_set_aside", "Damaged databases that were set aside", registry=registry
        )
        self.rejected = Counter(
            "leaderboard_rejected_records",
            "Rejected reward records, counted at each read",
            ["reason"],
            registry=registry,
        )
        self.peers = Gauge("leaderboard_peers", "Peers on the cumulative board", registry=registry)
        self.dht_nodes = Gauge("leaderboard_dht_nodes", "DHT nodes that the reader knows", registry=registry)
        self.epoch = Gauge("leaderboard_epoch", "Restarts of the swarm's rounds", registry=registry)
        self.database_size = Gauge(
            "leaderboard_database_size_bytes", "The database and its write-ahead log on disk", registry=registry
        )
        self.poll_duration = Gauge("leaderboard_poll_duration_seconds", "Duration of the last poll", registry=registry)
        self.field = Field()
        registry.register(self.field)
        for reason in REASONS:
            self.rejected.labels(reason)

    def families(self) -> Iterable[Metric]:
        """Every metric that has a value."""
        return self._registry.collect()

    def render(self) -> bytes:
        return generate_latest(self._registry)
