"""Collects on the sidecar's own clock and keeps the rendered page, so that a scrape only sends bytes."""

import gzip
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest

from exporter.collectors import CollectError, Collector
from exporter.metrics import Family, Reading, families

log = logging.getLogger(__name__)

# One line per collector in this time, however often its outcome changes.
LOG_INTERVAL_SECONDS = 60.0


class Page(NamedTuple):
    """A rendered page, plain and compressed, and the monotonic time at which it was rendered."""

    plain: bytes
    compressed: bytes
    rendered_at: float


class Outcome(NamedTuple):
    """What one run of a collector gave; `error` is None after a success."""

    readings: Sequence[Reading]
    seconds: float
    error: str | None


class Snapshot:
    """Runs the collectors, each in a fence of its own, and renders their readings."""

    def __init__(
        self, collectors: Mapping[str, Collector], *, constant: Sequence[Reading], timeout_seconds: float
    ) -> None:
        self._fences = [Fence(name, collector) for name, collector in collectors.items()]
        self._constant = constant
        self._timeout = timeout_seconds
        self._readings: list[Reading] = list(constant)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self.page = self._render()

    def refresh(self, now: float) -> None:
        """Collects everything at the Unix time `now` and replaces the page."""
        deadline = time.monotonic() + self._timeout
        for fence in self._fences:
            fence.start(now)
        readings = list(self._constant)
        for fence in self._fences:
            outcome = fence.wait(deadline)
            labels = {"collector": fence.name}
            readings += outcome.readings
            readings.append(Reading("sidecar_collector_success", labels, float(outcome.error is None)))
            readings.append(Reading("sidecar_collector_duration_seconds", labels, outcome.seconds))
        self._readings = readings
        self.page = self._render()

    def collect(self) -> list[Family]:
        """The families of the last collection; the registry calls it."""
        return families(self._readings)

    def _render(self) -> Page:
        plain = generate_latest(self._registry)
        return Page(plain, gzip.compress(plain, compresslevel=6), time.monotonic())


class Fence:
    """Runs a collector in one thread of its own: what it raises or how long it hangs costs only itself."""

    def __init__(self, name: str, collector: Collector) -> None:
        self.name = name
        self._collector = collector
        self._wanted = threading.Event()
        self._done = threading.Event()
        self._done.set()
        self._started = 0.0
        self._now = 0.0
        self._outcome = Outcome((), 0.0, None)
        self._logged: tuple[bool, float] = (False, -LOG_INTERVAL_SECONDS)
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def start(self, now: float) -> None:
        """Begins a run, unless the last one still hangs."""
        if self._done.is_set():
            self._now, self._started = now, time.monotonic()
            self._done.clear()
            self._wanted.set()

    def wait(self, deadline: float) -> Outcome:
        """The outcome of the run; a failure if it has not ended at the monotonic time `deadline`."""
        if self._done.wait(max(0.0, deadline - time.monotonic())):
            outcome = self._outcome
        else:
            seconds = time.monotonic() - self._started
            outcome = Outcome((), seconds, f"no answer for {seconds:.0f} s")
        self._report(outcome.error)
        return outcome

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            self._outcome = self._collect()
            self._done.set()

    def _collect(self) -> Outcome:
        readings: Sequence[Reading] = ()
        error = None
        try:
            readings = self._collector.collect(self._now)
            families(readings)  # A name that is not in the table costs this collector, not the page.
        except CollectError as failure:
            readings, error = failure.readings, str(failure)
        except Exception as failure:  # noqa: BLE001 the fence: one collector never breaks the page
            readings, error = (), f"{type(failure).__name__}: {failure}"
        return Outcome(readings, time.monotonic() - self._started, error)

    def _report(self, error: str | None) -> None:
        was_failing, logged_at = self._logged
        if was_failing == (error is not None) or time.monotonic() - logged_at < LOG_INTERVAL_SECONDS:
            return
        self._logged = (error is not None, time.monotonic())
        if error is None:
            log.info("collector %s succeeds again", self.name)
        else:
            log.warning("collector %s fails: %s", self.name, error)
