"""Resource use of the trainer's process tree: the trainer, its DHT child, and the p2p daemon below that."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psutil

from exporter.config import SidecarConfig
from exporter.footprint import Footprints
from exporter.metrics import Sample
from exporter.run_folder import ProcessRecord, find_process, is_running, read_process_record
from exporter.textfile_reader import TextfileReader, value_of


class Collector:
    """Measures the process tree of the trainer that the run folder records."""

    def __init__(self, run_dir: Path, textfile: TextfileReader) -> None:
        self._run_dir = run_dir
        self._textfile = textfile
        self._record: ProcessRecord | None = None
        self._trainer: psutil.Process | None = None
        self._cpu = CpuClock()
        self._footprints = Footprints()

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self:
        return cls(config.run_dir, config.textfile)

    def collect(self, now: float) -> list[Sample]:
        trainer = self._find_trainer()
        if trainer is None or self._record is None:
            return [Sample("trainer_up", {}, 0.0)]
        tree = [trainer, *_children(trainer)]
        measured = {
            "trainer_up": 1.0,
            "trainer_start_timestamp_seconds": self._record.started_at or self._record.create_time,
            "trainer_processes": float(len(tree)),
            "trainer_threads": _total(tree, lambda process: process.num_threads()),
            "trainer_open_fds": _total(tree, lambda process: process.num_fds()),
            "trainer_cpu_seconds_total": self._cpu.add(_cpu_seconds(tree)),
        }
        self._footprints.keep(tree)
        memory = {
            "footprint": self._with_accelerator(_total(tree, lambda process: self._footprints.of(process, now)), now),
            "rss": _total(tree, lambda process: process.memory_info().rss),
        }
        samples = [Sample(name, {}, value) for name, value in measured.items() if value is not None]
        samples += [
            Sample("trainer_memory_bytes", {"kind": kind}, value) for kind, value in memory.items() if value is not None
        ]
        return samples

    def _find_trainer(self) -> psutil.Process | None:
        record = read_process_record(self._run_dir)
        if record != self._record:
            self._record, self._trainer, self._cpu = record, None, CpuClock()
        # Once found, the process is recognised by the kernel's own clock: after the wall clock was set, its
        # recorded start time matches no process.
        if self._trainer is not None and is_running(self._trainer):
            return self._trainer
        self._trainer = find_process(record) if record else None
        return self._trainer

    def _with_accelerator(self, footprint: float | None, now: float) -> float | None:
        if footprint is None or sys.platform != "darwin":
            return footprint
        try:
            held = value_of(self._textfile.read(now), "trainer_accelerator_memory_bytes")
        except (OSError, ValueError):
            held = None
        return add_accelerator(footprint, held)


class CpuClock:
    """CPU seconds of a process tree as a counter: they do not fall when one of its processes ends."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, float], float] = {}
        self._total = 0.0

    def add(self, seconds: dict[tuple[int, float], float]) -> float:
        """Adds the CPU seconds of each live process, by (pid, start time); returns the total so far."""
        self._total += sum(max(0.0, value - self._seen.get(process, 0.0)) for process, value in seconds.items())
        self._seen = seconds
        return self._total


def add_accelerator(footprint: float, held: float | None) -> float:
    """A macOS footprint holds Metal's memory, except where it is smaller than what torch got from Metal."""
    return footprint + held if held is not None and held > footprint else footprint


def _children(trainer: psutil.Process) -> list[psutil.Process]:
    try:
        return trainer.children(recursive=True)
    except psutil.Error:
        return []


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


def _cpu_seconds(tree: list[psutil.Process]) -> dict[tuple[int, float], float]:
    seconds = {}
    for process in tree:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        seconds[process.pid, process.create_time()] = times.user + times.system
    return seconds
