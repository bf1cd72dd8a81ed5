"""The metrics of the alert loop's own machine, for its page and for the rules."""

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.registry import Collector

from alerts.scraping.page import Labels, Page
from exporter.metrics import families
from exporter.system.host import read_host


class HostCollector(Collector):
    """Reads the machine on each collection; `disk_paths` name the disks."""

    def __init__(self, disk_paths: tuple[Path, ...]) -> None:
        self._disk_paths = disk_paths

    def collect(self) -> Iterator[Metric]:
        yield from families(read_host(self._disk_paths))


def read_host_page(disk_paths: tuple[Path, ...]) -> Page:
    """The machine's metrics as the rules read them."""
    samples: dict[str, dict[Labels, float]] = {}
    for name, labels, value in read_host(disk_paths):
        samples.setdefault(name, {})[frozenset(labels.items())] = value
    return Page(samples)
