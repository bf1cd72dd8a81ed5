"""Writes trainer.prom from a thread of its own, at most once per interval, whatever the disk does."""

import logging
import math
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from exporter import stacks
from exporter.metrics import Family
from exporter.progress.pace_file import MAX_BYTES, PACE_FILE
from exporter.run_folder import (
    METRICS_FILE,
    PROCESS_FILE,
    read_bounded,
    read_process_record,
    write_atomically,
    write_process_record,
)
from exporter.system.process_identity import find_process

log = logging.getLogger(__name__)


# A process that is killed loses what it learnt of its pace since.
PACE_INTERVAL_SECONDS = 60.0
# How often, and before each write, the source is asked whether anything has changed that it was not told of.
LOOK_INTERVAL_SECONDS = 2.0


class Source(Protocol):
    """What is written, and takes up what an earlier process wrote."""

    def collect(self) -> Iterable[Family]: ...
    def restore(self, last_step: float | None, pace: bytes | None) -> None: ...
    def pace_to_keep(self) -> bytes | None: ...
    def look(self) -> None: ...


class TextfileWriter(Collector):
    """Writes a source to the run folder from a thread of its own, at most once per interval.

    It begins when the one that wrote there before it, `after`, has ended.
    """

    def __init__(
        self, run_dir: Path, source: Source, interval_seconds: float, *, after: "TextfileWriter | None" = None
    ) -> None:
        self._run_dir = run_dir
        self._source = source
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._interval = interval_seconds
        self._after = after
        # Unlike an event, it may be put to by a signal's handler that interrupts another put.
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._is_abandoned = False
        self._made = False
        self._claimed = False
        self._failing: set[str] = set()
        self._pace_kept: bytes | None = None
        self._pace_kept_at = time.monotonic()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    def collect(self) -> Iterable[Family]:
        """The families of the source; the registry calls it."""
        return self._source.collect()

    def is_here(self) -> bool:
        """Whether this process is the writer: a forked child inherits everything but the thread."""
        return os.getpid() == self._pid

    def wake(self) -> None:
        """Requests a write; takes a microsecond."""
        if self._wakes.empty():
            self._wakes.put(None)

    def claim_again(self) -> None:
        """Requests that the folder is claimed again with the next write, and what is kept there read again."""
        self._claimed = False
        self.wake()

    def close(self) -> None:
        """Writes a last time and ends the thread; waits at most 5 s for a slow disk."""
        self._closing.set()
        self._wakes.put(None)
        self._thread.join(timeout=5.0)

    def abandon(self) -> None:
        """Ends the thread without a last write: somebody else writes from now on. Does not wait."""
        self._is_abandoned = True
        self._closing.set()
        self._wakes.put(None)

    def _run(self) -> None:
        after, self._after = self._after, None
        if after is not None:
            after._thread.join()
        self.wake()
        while not self._closing.is_set():
            is_dirty = self._is_woken()
            if self._closing.is_set():
                break
            self._attempt(self._source.look)
            if is_dirty:
                self._write()
                self._closing.wait(self._interval)
        if not self._is_taken_over():
            self._write()

    def _is_woken(self) -> bool:
        try:
            self._wakes.get(timeout=LOOK_INTERVAL_SECONDS)
        except queue.Empty:
            return False
        return True

    def _is_taken_over(self) -> bool:
        """Whether another process has become the trainer of the folder, and what it wrote must stay."""
        record = read_process_record(self._run_dir) if self._made else None
        return record is not None and record.identity.pid != self._pid

    def _write(self) -> None:
        if self._is_abandoned:
            return
        self._attempt(self._write_metrics)
        if self._claimed and (self._closing.is_set() or time.monotonic() - self._pace_kept_at >= PACE_INTERVAL_SECONDS):
            self._attempt(self._keep_pace)

    def _write_metrics(self) -> None:
        if not self._claimed or not os.path.lexists(self._run_dir / PROCESS_FILE):
            # Set before: a claim that is requested meanwhile must not be lost.
            self._claimed = True
            try:
                self._claim()
            except BaseException:
                self._claimed = False
                raise
        write_atomically(self._run_dir / METRICS_FILE, generate_latest(self._registry))

    def _claim(self) -> None:
        if not self._made:
            self._run_dir.mkdir(parents=True, exist_ok=True)
            self._made = True
        self._restore()
        record = read_process_record(self._run_dir)
        if record is None or record.identity.pid != self._pid or find_process(record.identity) is None:
            write_process_record(self._run_dir)
        stacks.register(self._run_dir)

    def _restore(self) -> None:
        try:
            pace = read_bounded(self._run_dir / PACE_FILE, MAX_BYTES)
        except (OSError, ValueError):
            pace = None
        last_step = read_last_step(self._run_dir)
        try:
            self._source.restore(last_step, pace)
        except ValueError as error:
            log.warning("%s is damaged and not used: %s", self._run_dir / PACE_FILE, error)
            self._source.restore(last_step, None)

    def _keep_pace(self) -> None:
        self._pace_kept_at = time.monotonic()
        pace = self._source.pace_to_keep()
        if pace is not None and pace != self._pace_kept:
            write_atomically(self._run_dir / PACE_FILE, pace)
            self._pace_kept = pace

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 the promise to training: a failure here costs only metrics
            if not self._failing:
                log.warning("cannot write metrics to %s: %s; training continues", self._run_dir, error)
            self._failing.add(action.__name__)
        else:
            if self._failing == {action.__name__}:
                log.warning("writing metrics to %s again", self._run_dir)
            self._failing.discard(action.__name__)


def read_last_step(run_dir: Path) -> float | None:
    """When the last step recorded in this run folder ended; None without one."""
    try:
        text = read_bounded(run_dir / METRICS_FILE, 1 << 20).decode()
        found = re.search(r"^trainer_last_step_timestamp_seconds (\S+)$", text, re.MULTILINE)
        at = float(found.group(1)) if found else math.nan
    except (OSError, ValueError):
        return None
    return at if 0 < at <= time.time() else None
