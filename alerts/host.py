"""Metrics of the machine: memory and what waits for it, swap, processor, disk."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from alerts.reading import Labels, Reading

PRESSURE_FILE = Path("/proc/pressure/memory")
_PRESSURE = re.compile(r"^(some|full) .*\bavg60=(\d+(?:\.\d+)?)\b", re.MULTILINE)
_PRESSURE_LEVELS = (1, 2, 4)


class HostCollector(Collector):
    """Reads the machine when it is asked; each read takes microseconds. What cannot be read is absent."""

    def __init__(self, disk_paths: tuple[Path, ...], pressure_file: Path = PRESSURE_FILE) -> None:
        self._disk_paths = disk_paths
        self._pressure_file = pressure_file

    def collect(self) -> Iterator[Metric]:
        memory = psutil.virtual_memory()
        yield GaugeMetricFamily("host_memory_total_bytes", "Memory of this machine.", memory.total)
        yield GaugeMetricFamily(
            "host_memory_available_bytes", "Memory that programs can get without swapping.", memory.available
        )
        yield from self._collect_pressure()
        yield GaugeMetricFamily("host_swap_used_bytes", "Swap in use.", psutil.swap_memory().used)
        yield GaugeMetricFamily("host_cpu_cores", "Processors that the system sees.", psutil.cpu_count() or 1)
        times = psutil.cpu_times()
        cpu = CounterMetricFamily("host_cpu_seconds", "Processor time by use, over all processors.", labels=["mode"])
        for mode in ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"):
            if hasattr(times, mode):  # macOS knows the first four only.
                cpu.add_metric([mode], getattr(times, mode))
        yield cpu
        yield from self._collect_disks()

    def _collect_pressure(self) -> Iterator[Metric]:
        if sys.platform == "darwin":
            level = read_pressure_level()
            if level is not None:
                help_text = "Memory pressure as macOS tells it: 1 normal, 2 warning, 4 critical."
                yield GaugeMetricFamily("host_memory_pressure_level", help_text, level)
            return
        try:
            shares = parse_pressure(self._pressure_file.read_text())
        except (OSError, ValueError):  # A kernel, or a container, without pressure stall information.
            return
        help_text = "Share of the last minute in which some or all programs waited for memory."
        pressure = GaugeMetricFamily("host_memory_pressure_ratio", help_text, labels=["kind"])
        for kind, share in shares.items():
            pressure.add_metric([kind], share)
        yield pressure

    def _collect_disks(self) -> Iterator[Metric]:
        free = GaugeMetricFamily("host_disk_free_bytes", "Free space of the disk that holds the path.", labels=["path"])
        total = GaugeMetricFamily("host_disk_total_bytes", "Size of the disk that holds the path.", labels=["path"])
        for path in self._disk_paths:
            try:
                usage = psutil.disk_usage(str(path))
            except OSError:
                continue
            free.add_metric([str(path)], usage.free)
            total.add_metric([str(path)], usage.total)
        yield from (free, total)


def read_host(collector: HostCollector) -> Reading:
    """The machine as the rules look at it."""
    samples: dict[str, dict[Labels, float]] = {}
    for family in collector.collect():
        for sample in family.samples:
            samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return Reading(samples)


def parse_pressure(text: str) -> dict[str, float]:
    """The last minute's shares, 0 to 1, in /proc/pressure/memory, by `some` and `full`. Raises ValueError."""
    shares = {kind: float(percent) / 100.0 for kind, percent in _PRESSURE.findall(text)}
    if not shares:
        raise ValueError("no memory pressure is told")
    return shares


def read_pressure_level(query: Callable[[], int | None] | None = None) -> int | None:
    """macOS' kern.memorystatus_vm_pressure_level; None where the system does not tell."""
    level = (query or _ask_sysctl)()
    return level if level in _PRESSURE_LEVELS else None


def _ask_sysctl() -> int | None:
    import ctypes  # only macOS pays for it

    library = ctypes.CDLL("/usr/lib/libSystem.dylib", use_errno=True)
    level, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    name = b"kern.memorystatus_vm_pressure_level"
    failed = library.sysctlbyname(name, ctypes.byref(level), ctypes.byref(size), None, ctypes.c_size_t(0))
    return None if failed else level.value
