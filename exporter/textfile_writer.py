"""Writes trainer.prom from a thread of its own, at most once per interval, whatever the disk does."""

import logging
import math
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from exporter.run_folder import METRICS_FILE, find_trainer, read_bounded, write_atomically, write_process_record

log = logging.getLogger(__name__)


class TextfileWriter:
    """Writes the registry to the run folder from a thread of its own, at most once per interval."""

    def __init__(
        self,
        run_dir: Path,
        registry: CollectorRegistry,
        interval_seconds: float,
        restore_last_step: Callable[[float | None], None],
    ) -> None:
        self._run_dir = run_dir
        self._registry = registry
        self._interval = interval_seconds
        self._restore_last_step = restore_last_step
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._claimed = False
        self._failing = False
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    def is_here(self) -> bool:
        """Whether this process is the writer: a forked child inherits everything but the thread."""
        return os.getpid() == self._pid

    def wake(self) -> None:
        """Requests a write; takes a microsecond."""
        self._dirty.set()

    def close(self) -> None:
        """Writes a last time and ends the thread; waits at most 5 s for a slow disk."""
        self._closing.set()
        self._dirty.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        self._dirty.set()
        while not self._closing.is_set():
            self._dirty.wait()
            self._dirty.clear()
            self._attempt(self._write)
            self._closing.wait(self._interval)
        self._attempt(self._write)

    def _claim(self) -> None:
        self._run_dir.mkdir(parents=True, exist_ok=True)
        self._restore_last_step(read_last_step(self._run_dir))
        recorded = find_trainer(self._run_dir)
        if recorded is None or recorded.pid != self._pid:
            write_process_record(self._run_dir)

    def _write(self) -> None:
        if not self._claimed:
            self._claim()
            self._claimed = True
        write_atomically(self._run_dir / METRICS_FILE, generate_latest(self._registry))

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 the promise to training: a failure here costs only metrics
            if not self._failing:
                log.warning("cannot write metrics to %s: %s; training continues", self._run_dir, error)
            self._failing = True
        else:
            if self._failing:
                log.warning("writing metrics to %s again", self._run_dir)
            self._failing = False


def read_last_step(run_dir: Path) -> float | None:
    """When the last step recorded in this run folder ended; None without one."""
    try:
        text = read_bounded(run_dir / METRICS_FILE, 1 << 20).decode()
        found = re.search(r"^trainer_last_step_timestamp_seconds (\S+)$", text, re.MULTILINE)
        at = float(found.group(1)) if found else math.nan
    except (OSError, ValueError):
        return None
    return at if 0 < at <= time.time() else None
