"""Passes on the metrics that the trainer wrote in trainer.prom, or that readers found for it."""

from typing import Self

from exporter.config import Reported, SidecarConfig
from exporter.metrics import Sample


class Collector:
    """Reads `trainer.prom` in the run folder, or asks the readers of the trainer's progress."""

    def __init__(self, reported: Reported) -> None:
        self._reported = reported

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self:
        return cls(config.reported)

    def collect(self, now: float) -> list[Sample]:
        return self._reported.read(now)
