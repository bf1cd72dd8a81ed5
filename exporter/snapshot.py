"""Runs the collectors at an interval and keeps the rendered page, so that a scrape only sends bytes."""

import gzip
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest

from exporter.collectors import CollectError, Collector
from exporter.metrics import Family, Sample, families

log = logging.getLogger(__name__)

# At most one log line per collector in this time, however often its result changes.
LOG_INTERVAL_SECONDS = 60.0
# Scrapes wait no longer than this after the stall deadline for the collection that is then due.
FRESH_WITHIN_SECONDS = 0.25

_LAST_STEP = "trainer_last_step_timestamp_seconds"
_PHASE_START = "trainer_phase_start_timestamp_seconds"
_STALL_AFTER = "trainer_stall_after_seconds"
# By what the trainer does meanwhile, where that is known, and where it should be looked at for the first time.
_ACTIVE_STALL_AFTER = "trainer_activity_stall_after_seconds"
_AT_REST_AFTER = "trainer_stall_at_rest_after_seconds"
_CORES = "trainer_activity_cores"
# What processes do is measured over no shorter time.
LOOK_SECONDS = 1.1


@dataclass(frozen=True)
class Page:
    """A rendered page, plain and compressed, and the monotonic time at which it was rendered."""

    plain: bytes
    rendered_at: float

    @cached_property
    def compressed(self) -> bytes:
        """Made for the first who asks for it, as most pages are read by nobody who does."""
        return gzip.compress(self.plain, compresslevel=6)


class CollectorResult(NamedTuple):
    """The result of one run of a collector; `error` is None after a success."""

    samples: Sequence[Sample]
    seconds: float
    error: str | None


class Snapshot:
    """Runs the collectors, isolated from each other, and renders their samples."""

    def __init__(
        self, collectors: Mapping[str, Collector], *, constant: Sequence[Sample], timeout_seconds: float
    ) -> None:
        self._fences = [Fence(name, collector) for name, collector in collectors.items()]
        self._constant = constant
        self._timeout = timeout_seconds
        self._worker = Worker()
        self._samples: list[Sample] = list(constant)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._stalls_at = math.inf
        self._refreshed = threading.Condition()
        self.page = self._render()

    def refresh(self, now: float) -> None:
        """Collects everything at the Unix time `now` and replaces the page."""
        samples = list(self._constant)
        for fence in self._fences:
            result = self._run(fence, now)
            labels = {"collector": fence.name}
            samples += result.samples
            samples.append(Sample("sidecar_collector_success", labels, float(result.error is None)))
            samples.append(Sample("sidecar_collector_duration_seconds", labels, result.seconds))
        self._samples = samples
        page, stalls_at = self._render(), _find_stall(samples, now)
        with self._refreshed:
            self.page, self._stalls_at = page, stalls_at
            self._refreshed.notify_all()

    def seconds_to_stall(self, now: float) -> float:
        """Time left to the stall deadline of the last collection; infinite once a collection has passed it."""
        return max(0.0, self._stalls_at - now)

    def latest(self, now: float) -> Page:
        """The page for a scrape at the Unix time `now`.

        Just after the stall deadline it waits briefly for a collection that may have seen a step since; all scrapes
        together no longer than one, as they are served one after the other.
        """
        seconds_left = self._stalls_at + FRESH_WITHIN_SECONDS - now
        if now >= self._stalls_at and seconds_left > 0.0:
            with self._refreshed:
                self._refreshed.wait_for(lambda: now < self._stalls_at, seconds_left)
        return self.page

    def collect(self) -> list[Family]:
        """The families of the last collection; the registry calls it."""
        return families(self._samples)

    def _run(self, fence: "Fence", now: float) -> CollectorResult:
        started = time.monotonic()
        if fence.start(self._worker, now) and not fence.wait(self._timeout):
            # The hanging collector keeps this thread, and gets no other before it returns.
            self._worker.close()
            self._worker = Worker()
        result = fence.result(time.monotonic() - started)
        fence.report(result.error)
        return result

    def _render(self) -> Page:
        return Page(generate_latest(self._registry), time.monotonic())


def refresh_until(stopping: threading.Event, snapshot: Snapshot, interval_seconds: float) -> None:
    """Collects every interval, and at the stall deadline: a step since the last collection prevents a false stall.

    The next one is an interval later in either case, also after a suspend.
    """
    while not stopping.wait(min(interval_seconds, snapshot.seconds_to_stall(time.time()))):
        snapshot.refresh(time.time())


def _find_stall(samples: Sequence[Sample], now: float) -> float:
    """The Unix time of the stall deadline if it is after `now`; infinite otherwise.

    At rest a stall comes sooner, so the processes are looked at when it may have come.
    """
    values = {sample.name: sample.value for sample in samples}
    if _STALL_AFTER not in values or _PHASE_START not in values:
        return math.inf
    progress_at = max(values.get(_LAST_STEP, 0.0), values[_PHASE_START])
    deadlines = [progress_at + values.get(_ACTIVE_STALL_AFTER, values[_STALL_AFTER])]
    if _AT_REST_AFTER in values and _CORES in values and progress_at + values[_AT_REST_AFTER] > now:
        deadlines.append(max(progress_at + values[_AT_REST_AFTER], now + LOOK_SECONDS))
    return min((deadline for deadline in deadlines if deadline > now), default=math.inf)


class Worker:
    """A thread that runs jobs in order, and ends once it is closed."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="collect", daemon=True).start()

    def submit(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)

    def close(self) -> None:
        self._jobs.put(None)

    def _run(self) -> None:
        while job := self._jobs.get():
            job()


class Fence:
    """Isolates one collector: an error or a hang costs only its own samples."""

    def __init__(self, name: str, collector: Collector) -> None:
        self.name = name
        self._collector = collector
        self._done = threading.Event()
        self._done.set()
        self._result = CollectorResult((), 0.0, None)
        self._failing = False
        self._logged_at = -LOG_INTERVAL_SECONDS

    def start(self, worker: Worker, now: float) -> bool:
        """Begins a run; False while the last one still hangs."""
        if not self._done.is_set():
            return False
        self._done.clear()
        worker.submit(lambda: self._collect(now))
        return True

    def wait(self, seconds: float) -> bool:
        """Whether the run ended in time."""
        return self._done.wait(seconds)

    def result(self, waited_seconds: float) -> CollectorResult:
        """The result of the run; a failure while it still hangs."""
        if self._done.is_set():
            return self._result
        return CollectorResult((), waited_seconds, "timed out; not run again before it returns")

    def report(self, error: str | None) -> None:
        """Logs a change between success and failure."""
        failing = error is not None
        if failing == self._failing or time.monotonic() - self._logged_at < LOG_INTERVAL_SECONDS:
            return
        self._failing, self._logged_at = failing, time.monotonic()
        if failing:
            log.warning("collector %s failed: %s", self.name, error)
        else:
            log.info("collector %s succeeds again", self.name)

    def _collect(self, now: float) -> None:
        started = time.monotonic()
        samples: Sequence[Sample] = ()
        error = None
        try:
            samples = self._collector.collect(now)
            families(samples)  # A name that is not in the table costs this collector, not the page.
        except CollectError as failure:
            samples, error = failure.samples, str(failure)
        except Exception as failure:  # noqa: BLE001 the fence: one collector never breaks the page
            samples, error = (), f"{type(failure).__name__}: {failure}"
        self._result = CollectorResult(samples, time.monotonic() - started, error)
        self._done.set()
