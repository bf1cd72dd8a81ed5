"""`python -m tests.e2e.trainer_by_clock FILE …`: our trainer, whose reports tell the time that a test keeps in FILE.

All else is `python -m trainer …`. Its page is written as often as a test of short minutes looks at it.
"""

import runpy
import sys
from functools import partial
from pathlib import Path
from typing import Any

from exporter import telemetry
from exporter.progress.model import Progress

WRITE_SECONDS = 0.02

clock_file = Path(sys.argv.pop(1))


def read_clock() -> float:
    return float(clock_file.read_text())


class Telemetry(telemetry.PeerTelemetry):
    """It tells by this clock, too, when the swarm took something."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, write_interval_seconds=WRITE_SECONDS, **options)

    def published(self, at: float) -> None:
        super().published(read_clock())


for name, changed in (("Progress", partial(Progress, wall_clock=read_clock)), ("PeerTelemetry", Telemetry)):
    setattr(telemetry, name, changed)
runpy.run_module("trainer", run_name="__main__", alter_sys=True)
