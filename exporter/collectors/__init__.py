"""What the sidecar reads, one file for each source: found by being in this folder, the file's name is its name.

textfile   what the trainer wrote in trainer.prom
process    memory, processor time, threads of the trainer's process tree
step_rate  steps per second over the last minutes
standing   rank and reward from the leaderboard
"""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Protocol, Self

from exporter.config import SidecarConfig
from exporter.metrics import Sample


class CollectError(Exception):
    """A read that failed; `readings` is what remains true without it."""

    def __init__(self, reason: str, readings: Sequence[Sample] = ()) -> None:
        super().__init__(reason)
        self.readings = readings


class Collector(Protocol):
    """Reads one source. Whatever `collect` raises costs only the readings of this collector."""

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self | None:
        """The collector for this sidecar; None where it has nothing to read."""

    def collect(self, now: float) -> Sequence[Sample]:
        """All readings at the Unix time `now`; a value that was not measured is left out."""


def discover(config: SidecarConfig) -> dict[str, Collector]:
    """Every collector of this folder that has something to read, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = {name: importlib.import_module(f"{__name__}.{name}").Collector.configured(config) for name in names}
    return {name: collector for name, collector in found.items() if collector is not None}
