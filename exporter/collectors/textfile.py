"""Passes on the metrics that the trainer wrote in trainer.prom."""

from typing import Self

from exporter.config import SidecarConfig
from exporter.metrics import Sample
from exporter.textfile_reader import TextfileReader


class Collector:
    """Reads `trainer.prom` in a run folder."""

    def __init__(self, textfile: TextfileReader) -> None:
        self._textfile = textfile

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self:
        return cls(config.textfile)

    def collect(self, now: float) -> list[Sample]:
        return self._textfile.read(now)
