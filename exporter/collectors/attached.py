"""Records which process the trainer is that somebody else starts, so that all others find it in the run folder."""

from pathlib import Path
from typing import Self

import psutil

from exporter.attached_process import AttachedProcess, Criteria
from exporter.config import SidecarConfig
from exporter.metrics import Sample
from exporter.run_folder import read_process_record, write_process_record
from exporter.system.process_identity import ProcessIdentity, identify


class Collector:
    """Looks for the trainer while it is not there. Collectors run in the order of their names: this one first."""

    def __init__(self, run_dir: Path, criteria: Criteria) -> None:
        self._run_dir = run_dir
        self._attached = AttachedProcess(criteria)
        self._identified: tuple[psutil.Process, ProcessIdentity] | None = None

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self | None:
        return cls(config.run_dir, config.watch.find) if config.watch and config.watch.find else None

    def collect(self, now: float) -> list[Sample]:
        """Raises OSError where the run folder cannot be written, and psutil.Error where the process has just ended."""
        process = self._attached.find(now)
        if process is not None:
            # What a process is told by does not change, and takes several files to read.
            if self._identified is None or self._identified[0] is not process:
                self._identified = process, identify(process.pid)
            identity = self._identified[1]
            record = read_process_record(self._run_dir)
            if record is None or record.identity != identity:
                write_process_record(self._run_dir, identity)
        return []
