"""Metrics of the machine: memory, swap, processor, disk."""

from collections.abc import Iterator
from pathlib import Path

import psutil
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector


class HostCollector(Collector):
    """Reads the machine when it is scraped; each read takes microseconds."""

    def __init__(self, disk_paths: tuple[Path, ...]) -> None:
        self._disk_paths = disk_paths

    def collect(self) -> Iterator[Metric]:
        memory = psutil.virtual_memory()
        yield GaugeMetricFamily("host_memory_total_bytes", "Memory of this machine.", memory.total)
        yield GaugeMetricFamily(
            "host_memory_available_bytes", "Memory that programs can get without swapping.", memory.available
        )
        yield GaugeMetricFamily("host_swap_used_bytes", "Swap in use.", psutil.swap_memory().used)
        yield GaugeMetricFamily("host_cpu_cores", "Processors that the system sees.", psutil.cpu_count() or 1)
        times = psutil.cpu_times()
        cpu = CounterMetricFamily("host_cpu_seconds", "Processor time by use, over all processors.", labels=["mode"])
        for mode in ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"):
            if hasattr(times, mode):  # macOS knows the first four only.
                cpu.add_metric([mode], getattr(times, mode))
        yield cpu
        disk = GaugeMetricFamily("host_disk_free_bytes", "Free space of the disk that holds the path.", labels=["path"])
        for path in self._disk_paths:
            disk.add_metric([str(path)], psutil.disk_usage(str(path)).free)
        yield disk
