"""The alert loop's own metrics, for its /metrics page."""

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.registry import Collector

from alerts.engine.status import Status
from alerts.metrics import family
from alerts.restart_record import PHASE_METRIC, Record
from alerts.store import FileHealth


class AlertCollector(Collector):
    """Reads the alert loop's objects when scraped."""

    def __init__(
        self,
        status: Status,
        results: Counter[str],
        pending: int,
        restarts: Mapping[str, Record],
        databases: Mapping[str, FileHealth],
    ) -> None:
        self._status = status
        self._restarts = restarts
        self._databases = databases
        self._results = results
        self._pending = pending

    def collect(self) -> Iterator[Metric]:
        states = self._status.alert_states.states
        counts = Counter((key.rule, state.severity) for key, state in states.items() if state.phase == "firing")
        yield family("alerts_firing", dict(sorted(counts.items())))
        yield family("alerts_deliveries_total", {(result,): count for result, count in sorted(self._results.items())})
        yield family("alerts_outbox_pending", self._pending)
        phases: dict[tuple[str, ...], float] = {
            (peer, record.phase): 1.0 for peer, record in sorted(self._restarts.items())
        }
        yield family(PHASE_METRIC, phases)
        yield family(
            "alerts_database_writable", {(name,): float(not one.problem) for name, one in self._databases.items()}
        )
        yield family(
            "alerts_databases_set_aside_total",
            {(name,): one.set_aside_count for name, one in self._databases.items()},
        )
        if self._status.now:
            yield family("alerts_last_evaluation_timestamp_seconds", self._status.now)
