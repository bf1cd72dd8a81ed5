"""The alert loop's own metrics, for its /metrics page."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from alerts.delivery.outbox import Outbox
from alerts.engine.status import Status
from alerts.loop import Loop
from alerts.metrics import family
from alerts.restart_record import PHASE_METRIC, Record
from alerts.scraping.host import HostCollector
from alerts.store import FileHealth

FRESH_SECONDS = 1.0


class AlertCollector(Collector):
    """Reads the alert loop's objects when scraped."""

    def __init__(
        self,
        status: Status,
        results: Counter[str],
        pending: int,
        restarts: Mapping[str, Record],
        databases: Mapping[str, FileHealth],
        pushes: Counter[tuple[str, str]],
        *,
        is_standing_by: bool = False,
    ) -> None:
        self._status = status
        self._is_standing_by = is_standing_by
        self._restarts = restarts
        self._databases = databases
        self._results = results
        self._pending = pending
        self._pushes = pushes

    def collect(self) -> Iterator[Metric]:
        states = self._status.alert_states.states
        counts = Counter((key.rule, state.severity) for key, state in states.items() if state.phase == "firing")
        yield family("alerts_firing", dict(sorted(counts.items())))
        yield family("alerts_deliveries_total", {(result,): count for result, count in sorted(self._results.items())})
        yield family("alerts_standby", float(self._is_standing_by))
        yield family("alerts_outbox_pending", self._pending)
        yield family("alerts_pushes_total", dict(sorted(self._pushes.items())))
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


class MetricsPage:
    """The page, rendered anew for each evaluation, otherwise once a second: who asks more often costs nothing."""

    def __init__(
        self,
        loop: Loop,
        outbox: Outbox,
        state_dir: Path,
        pushes: Counter[tuple[str, str]],
        clock: Callable[[], float] = time.monotonic,
        is_standing_by: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_standing_by = is_standing_by
        self._loop = loop
        self._outbox = outbox
        self._pushes = pushes
        self._host = HostCollector((state_dir,))
        self._clock = clock
        self._status: Status | None = None
        self._rendered_at = 0.0
        self._content = b""

    def content(self) -> bytes:
        """The page in Prometheus' text format, at most FRESH_SECONDS old."""
        now = self._clock()
        if self._loop.status is not self._status or now - self._rendered_at >= FRESH_SECONDS:
            self._content = self._render()
            self._status, self._rendered_at = self._loop.status, now
        return self._content

    def _render(self) -> bytes:
        registry, loop = CollectorRegistry(), self._loop
        pending = sum(counts.get("pending", 0) for counts in self._outbox.count_deliveries().values())
        registry.register(
            AlertCollector(
                loop.status,
                self._outbox.results,
                pending,
                loop.restarts,
                loop.databases,
                self._pushes,
                is_standing_by=self._is_standing_by(),
            )
        )
        registry.register(self._host)
        return generate_latest(registry)
