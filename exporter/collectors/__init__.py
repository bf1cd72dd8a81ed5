"""What the sidecar collects, one file for each source: each file in this folder is a collector of that name."""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Protocol, Self

from exporter.config import SidecarConfig
from exporter.metrics import Sample


class CollectError(Exception):
    """A failed collection; `samples` is what is still valid without it."""

    def __init__(self, reason: str, samples: Sequence[Sample] = ()) -> None:
        super().__init__(reason)
        self.samples = samples


class Collector(Protocol):
    """Reads one source. Whatever `collect` raises costs only the samples of this collector."""

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self | None:
        """The collector for this sidecar; None where its source is not configured."""

    def collect(self, now: float) -> Sequence[Sample]:
        """All samples at the Unix time `now`, one per collection; a value that was not measured is left out."""


def discover(config: SidecarConfig) -> dict[str, Collector]:
    """Every configured collector of this folder, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = {name: importlib.import_module(f"{__name__}.{name}").Collector.configured(config) for name in names}
    return {name: collector for name, collector in found.items() if collector is not None}
