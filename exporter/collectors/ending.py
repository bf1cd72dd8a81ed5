"""How the trainer's last process ended, where whoever started it recorded that, or the kernel tells."""

from pathlib import Path
from typing import Self

import psutil

from exporter.config import SidecarConfig
from exporter.metrics import Sample
from exporter.run_folder import ProcessRecord, read_ending, read_process_record
from exporter.system.control_groups import find_oom_events, read_oom_kills
from exporter.system.process_identity import find_process, is_running, is_same


class Collector:
    """Says nothing while the trainer runs."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._found: tuple[ProcessRecord, psutil.Process] | None = None
        self._record: ProcessRecord | None = None
        self._events: Path | None = None
        self._kills_before: int | None = None
        self._is_ended = False
        self._was_killed = False

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self:
        return cls(config.run_dir)

    def collect(self, now: float) -> list[Sample]:
        record = read_process_record(self._run_dir)
        if record is None:
            return []
        if self._is_running(record):
            self._watch(record)
            return []
        return self._describe(record)

    def _is_running(self, record: ProcessRecord) -> bool:
        """Whether the recorded process runs; one that was found is known again by the kernel's own clock."""
        if self._found is None or self._found[0] != record or not is_running(self._found[1]):
            process = find_process(record.identity)
            self._found = (record, process) if process is not None else None
        return self._found is not None

    def _watch(self, record: ProcessRecord) -> None:
        """Keeps the present number of kills, to be compared with the one after the trainer's end."""
        if record != self._record or self._events is None:
            self._record, self._events = record, find_oom_events(record.identity.pid)
            self._is_ended = self._was_killed = False
        self._kills_before = read_oom_kills(self._events) if self._events else None

    def _describe(self, record: ProcessRecord) -> list[Sample]:
        samples = []
        ending = read_ending(self._run_dir)
        if ending is not None and is_same(record.identity, ending.identity):
            samples.append(Sample("trainer_exit_code", {}, float(ending.exit_code)))
            samples.append(Sample("trainer_end_timestamp_seconds", {}, ending.at))
        if record == self._record and self._kills_before is not None and self._events is not None:
            if not self._is_ended:
                # Once: later kills in that group are not of this trainer.
                kills = read_oom_kills(self._events)
                self._is_ended, self._was_killed = True, kills is not None and kills > self._kills_before
            samples.append(Sample("trainer_oom_killed", {}, float(self._was_killed)))
        return samples
