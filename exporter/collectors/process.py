"""Resource use of the trainer's process tree: the trainer, its DHT child, and the p2p daemon below that."""

import logging
import sys
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Self

import psutil

from exporter.accelerators.peer import PeerAccelerator
from exporter.activity.follower import ActivityFollower
from exporter.activity.usage import TreeCounter
from exporter.collectors import CollectError
from exporter.config import Reported, SidecarConfig
from exporter.metrics import Sample
from exporter.run_folder import ProcessRecord, read_process_record
from exporter.system.footprint import Footprints, Use
from exporter.system.machine import read_limit
from exporter.system.process_identity import find_process, is_hidden, is_running
from exporter.system.process_tree import Descendants
from exporter.textfile_reader import value_of

# A limit hardly ever changes, and to read it takes as long as all else that is read of a process.
LIMIT_SECONDS = 60.0

log = logging.getLogger(__name__)


class Collector:
    """Measures the process tree of the trainer that the run folder records."""

    def __init__(
        self,
        run_dir: Path,
        reported: Reported,
        limit_bytes: int | None = None,
        accelerator: PeerAccelerator | None = None,
    ) -> None:
        self._run_dir = run_dir
        self._reported = reported
        self._limit_bytes = limit_bytes
        self._record: ProcessRecord | None = None
        self._trainer: psutil.Process | None = None
        self._has_seen_trainer = False
        self._below: Descendants | None = None
        # Of which process, when, and the bytes of the limit that it runs under.
        self._system_limit: tuple[psutil.Process, float, int | None] | None = None
        self._estimated = 0
        self._cpu = TreeCounter()
        self._activity = ActivityFollower(run_dir, reported, accelerator=accelerator)
        self._footprints = Footprints()

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self:
        return cls(config.run_dir, config.reported, config.memory_limit_bytes, config.accelerator)

    def collect(self, now: float) -> list[Sample]:
        """Raises CollectError where a process cannot be measured at all: no rule may take that for no memory."""
        trainer = self._find_trainer()
        samples = [Sample("trainer_memory_limit_bytes", {}, limit) for limit in self._limits(trainer, now)]
        if trainer is None or self._record is None:
            self._refuse_hidden(samples)
            return [*samples, Sample("trainer_up", {}, 0.0)]
        tree = [trainer, *(self._below.find() if self._below else ())]
        cpu_seconds = self._cpu.add(read_cpu_seconds(tree))
        measured = {
            "trainer_up": 1.0,
            "trainer_start_timestamp_seconds": self._record.started_at or self._record.identity.create_time,
            "trainer_processes": float(len(tree)),
            "trainer_threads": _total(tree, lambda process: process.num_threads()),
            "trainer_open_fds": _total(tree, lambda process: process.num_fds()),
            "trainer_cpu_seconds_total": cpu_seconds,
        }
        samples += [Sample(name, {}, value) for name, value in measured.items() if value is not None]
        samples += self._activity.follow(tree, self._record, cpu_seconds, now)
        return samples + self._measure_memory(tree, samples, now)

    def _measure_memory(self, tree: list[psutil.Process], others: list[Sample], now: float) -> list[Sample]:
        """Raises CollectError with the other samples."""
        self._footprints.keep(tree)
        uses: dict[int, Use] = {}

        def use_of(process: psutil.Process) -> float:
            uses[process.pid] = self._footprints.of(process, now)
            return uses[process.pid].bytes

        footprint, rss = _total(tree, use_of), _total(tree, lambda process: process.memory_info().rss)
        if footprint is None or rss is None:
            reason = "the memory of the trainer's processes cannot be read; run the sidecar as the trainer's user"
            raise CollectError(reason, others)
        estimated = [pid for pid, use in uses.items() if use.is_resident]
        self._report_estimates(estimated)
        return [
            Sample("trainer_memory_bytes", {"kind": "footprint"}, self._with_accelerator(footprint, now)),
            Sample("trainer_memory_bytes", {"kind": "rss"}, rss),
            Sample("trainer_memory_estimated_processes", {}, float(len(estimated))),
        ]

    def _report_estimates(self, pids: list[int]) -> None:
        if pids and not self._estimated:
            log.warning(
                "the footprint of process %s cannot be read, so its resident size counts, which is larger; "
                "run the sidecar as the trainer's user",
                ", ".join(map(str, pids)),
            )
        self._estimated = len(pids)

    def _limits(self, trainer: psutil.Process | None, now: float) -> list[float]:
        """The limit in bytes, if there is any."""
        limits = (self._limit_bytes, self._find_system_limit(trainer, now) if trainer is not None else None)
        found = [float(limit) for limit in limits if limit is not None]
        return [min(found)] if found else []

    def _find_system_limit(self, trainer: psutil.Process, now: float) -> int | None:
        known = self._system_limit
        if known is None or known[0] != trainer or abs(now - known[1]) >= LIMIT_SECONDS:
            limit = read_limit(trainer.pid)
            known = self._system_limit = trainer, now, limit.bytes if limit else None
        return known[2]

    def _find_trainer(self) -> psutil.Process | None:
        record = read_process_record(self._run_dir)
        if record != self._record:
            self._record, self._trainer, self._cpu = record, None, TreeCounter()
            self._has_seen_trainer = False
        # Once found, it is recognised by the kernel's own clock: where a record has only a start time, that matches no
        # process after the clock was set.
        if self._trainer is None or not is_running(self._trainer):
            self._trainer = find_process(record.identity) if record else None
            self._below = Descendants(self._trainer) if self._trainer else None
        self._has_seen_trainer = self._has_seen_trainer or self._trainer is not None
        return self._trainer

    def _refuse_hidden(self, samples: list[Sample]) -> None:
        """Raises CollectError where the trainer may well run: one that was visible before has ended."""
        pid = self._record.identity.pid if self._record else 0
        if pid and not self._has_seen_trainer and is_hidden(pid):
            reason = f"process {pid} belongs to another user and is hidden; run the sidecar as the trainer's user"
            raise CollectError(reason, samples)

    def _with_accelerator(self, footprint: float, now: float) -> float:
        if sys.platform != "darwin":
            return footprint
        try:
            held = value_of(self._reported.read(now), "trainer_accelerator_memory_bytes")
        except (OSError, ValueError):
            held = None
        return add_accelerator(footprint, held)


def add_accelerator(footprint: float, held: float | None) -> float:
    """A macOS footprint holds Metal's memory, except where it is smaller than what torch got from Metal."""
    return footprint + held if held is not None and held > footprint else footprint


def _total(tree: list[psutil.Process], measure: Callable[[psutil.Process], float | None]) -> float | None:
    """The sum over the tree; None if a live process could not be measured: a partial sum would be wrong."""
    total = 0.0
    for process in tree:
        try:
            value = measure(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        except psutil.Error:
            value = None
        if value is None and is_running(process):
            return None
        total += value or 0.0
    return total


def read_cpu_seconds(tree: list[psutil.Process]) -> dict[Hashable, float]:
    """Processor time by process.

    The process itself is the key: psutil compares PID and ticks, whereas a start time moves with the clock.
    """
    seconds: dict[Hashable, float] = {}
    for process in tree:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        seconds[process] = times.user + times.system
    return seconds
