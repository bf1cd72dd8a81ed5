"""Metrics of the host, as far as its programs may use it: memory, memory pressure, swap, CPU, disk."""

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from prometheus_client import Metric
from prometheus_client.registry import Collector

from alerts.metrics import family
from alerts.scraping.page import Labels, Page
from exporter.system.machine import Memory, read_memory, read_sysctl

PRESSURE_FILE = Path("/proc/pressure/memory")
_PRESSURE = re.compile(r"^(some|full) .*\bavg60=(\d+(?:\.\d+)?)\b", re.MULTILINE)
_PRESSURE_LEVELS = (1, 2, 4)


class HostCollector(Collector):
    """Reads the host on each collection, in microseconds. What cannot be read is absent."""

    def __init__(
        self,
        disk_paths: tuple[Path, ...],
        pressure_file: Path = PRESSURE_FILE,
        read_memory: Callable[[], Memory] = read_memory,
    ) -> None:
        self._disk_paths = disk_paths
        self._pressure_file = pressure_file
        self._read_memory = read_memory

    def collect(self) -> Iterator[Metric]:
        memory = self._read_memory()
        yield family("host_memory_total_bytes", memory.total_bytes)
        yield family("host_memory_available_bytes", memory.available_bytes)
        if memory.limit is not None:
            yield family("host_memory_limit_bytes", memory.limit.bytes)
        yield from self._collect_pressure(memory.pressure_files)
        yield family("host_swap_used_bytes", memory.swap_used_bytes)
        if sys.platform != "darwin":  # It adds swap as it needs it.
            yield family("host_swap_total_bytes", memory.swap_total_bytes)
        yield family("host_cpu_cores", psutil.cpu_count() or 1)
        times = psutil.cpu_times()
        # macOS has only the first four.
        modes = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
        yield family(
            "host_cpu_seconds_total", {(mode,): getattr(times, mode) for mode in modes if hasattr(times, mode)}
        )
        yield from self._collect_disks()

    def _collect_pressure(self, of_groups: tuple[Path, ...]) -> Iterator[Metric]:
        """The greatest of the system's and of the groups whose limits the programs here share."""
        if sys.platform == "darwin":
            level = read_pressure_level()
            if level is not None:
                yield family("host_memory_pressure_level", level)
            return
        greatest: dict[tuple[str, ...], float] = {}
        for path in (self._pressure_file, *of_groups):
            # A kernel, or a container, may be without pressure stall information.
            with contextlib.suppress(OSError, ValueError):
                for kind, share in parse_pressure(path.read_text()).items():
                    greatest[kind,] = max(share, greatest.get((kind,), 0.0))
        if greatest:
            yield family("host_memory_pressure_ratio", greatest)

    def _collect_disks(self) -> Iterator[Metric]:
        usages = {}
        for path in self._disk_paths:
            with contextlib.suppress(OSError):
                usages[str(path),] = psutil.disk_usage(str(path))
        yield family("host_disk_free_bytes", {path: usage.free for path, usage in usages.items()})
        yield family("host_disk_total_bytes", {path: usage.total for path, usage in usages.items()})


def read_host(collector: HostCollector) -> Page:
    """The host's metrics as the rules read them."""
    samples: dict[str, dict[Labels, float]] = {}
    for measured in collector.collect():
        for sample in measured.samples:
            samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return Page(samples)


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
