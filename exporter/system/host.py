"""Figures of the machine, as far as its programs may use it: memory, memory pressure, swap, CPU, disk, clock."""

import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from exporter.metrics import Sample
from exporter.system.machine import Memory, read_memory, read_sysctl

PRESSURE_FILE = Path("/proc/pressure/memory")
_PRESSURE = re.compile(r"^(some|full) .*\bavg60=(\d+(?:\.\d+)?)\b", re.MULTILINE)
_PRESSURE_LEVELS = (1, 2, 4)
# macOS has only the first four.
_CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def read_host(
    disk_paths: tuple[Path, ...],
    pressure_file: Path = PRESSURE_FILE,
    read_memory: Callable[[], Memory] = read_memory,
) -> Iterator[Sample]:
    """The machine's samples, read in microseconds. What cannot be read is absent."""
    memory = read_memory()
    yield Sample("host_memory_total_bytes", {}, float(memory.total_bytes))
    yield Sample("host_memory_available_bytes", {}, float(memory.available_bytes))
    if memory.limit is not None:
        yield Sample("host_memory_limit_bytes", {}, float(memory.limit.bytes))
    yield from _read_pressure((pressure_file, *memory.pressure_files))
    yield Sample("host_swap_used_bytes", {}, float(memory.swap_used_bytes))
    if sys.platform != "darwin":  # It adds swap as it needs it.
        yield Sample("host_swap_total_bytes", {}, float(memory.swap_total_bytes))
    yield Sample("host_cpu_cores", {}, float(psutil.cpu_count() or 1))
    times = psutil.cpu_times()
    for mode in _CPU_MODES:
        if hasattr(times, mode):
            yield Sample("host_cpu_seconds_total", {"mode": mode}, getattr(times, mode))
    for path in disk_paths:
        with contextlib.suppress(OSError):
            usage = psutil.disk_usage(str(path))
            yield Sample("host_disk_free_bytes", {"path": str(path)}, float(usage.free))
            yield Sample("host_disk_total_bytes", {"path": str(path)}, float(usage.total))
    yield Sample("host_clock_timestamp_seconds", {}, time.time())


def _read_pressure(files: tuple[Path, ...]) -> Iterator[Sample]:
    """The greatest of the system's and of the groups whose limits the programs here share."""
    if sys.platform == "darwin":
        level = read_pressure_level()
        if level is not None:
            yield Sample("host_memory_pressure_level", {}, float(level))
        return
    greatest: dict[str, float] = {}
    for path in files:
        # A kernel, or a container, may be without pressure stall information.
        with contextlib.suppress(OSError, ValueError):
            for kind, share in parse_pressure(path.read_text()).items():
                greatest[kind] = max(share, greatest.get(kind, 0.0))
    for kind, share in greatest.items():
        yield Sample("host_memory_pressure_ratio", {"kind": kind}, share)


def parse_pressure(text: str) -> dict[str, float]:
    """The last minute's shares, 0 to 1, in /proc/pressure/memory, by `some` and `full`. Raises ValueError."""
    shares = {kind: float(percent) / 100.0 for kind, percent in _PRESSURE.findall(text)}
    if not shares:
        raise ValueError("no memory pressure found")
    return shares


def read_pressure_level(query: Callable[[], int | None] | None = None) -> int | None:
    """macOS' kern.memorystatus_vm_pressure_level; None where the system has none."""
    level = query() if query else read_sysctl("kern.memorystatus_vm_pressure_level")
    return level if level in _PRESSURE_LEVELS else None
