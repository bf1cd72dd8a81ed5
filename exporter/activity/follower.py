"""Follows what the processes of a trainer do, collection by collection, and shows it as samples."""

import logging
from collections.abc import Sequence
from pathlib import Path

import psutil

from exporter.accelerators.peer import PeerAccelerator, PeerReading, spins
from exporter.activity.activity_file import ACTIVITY_FILE, MAX_BYTES, parse, render
from exporter.activity.model import Activity, Limits
from exporter.activity.usage import Usage, UsageMeter
from exporter.config import Reported
from exporter.metrics import ACTIVITIES, Sample
from exporter.progress.model import STEPPING
from exporter.run_folder import ProcessRecord, read_bounded, write_atomically
from exporter.textfile_reader import value_of

log = logging.getLogger(__name__)

# A sidecar that is killed loses what it learnt since.
KEEP_SECONDS = 60.0


def computes(found: PeerReading | None) -> bool | None:
    """Whether an accelerator computes for the trainer, by the power that it draws; None where that is not known."""
    if found is None or found.is_busy is not None:
        return found.is_busy if found else None
    return False if any(spins(one) for one in found.devices if not one.problem) else None


class ActivityFollower:
    """Learns what is usual for the trainer of a run folder, and keeps it there."""

    def __init__(
        self,
        run_dir: Path,
        reported: Reported,
        *,
        meter: UsageMeter | None = None,
        accelerator: PeerAccelerator | None = None,
    ) -> None:
        self._path = run_dir / ACTIVITY_FILE
        self._reported = reported
        self._meter = meter or UsageMeter()
        self._accelerator = accelerator
        self._activity = Activity()
        self._record: ProcessRecord | None = None
        self._kept_at: float | None = None
        self._is_failing = False
        self._seconds_in: dict[str, float] = {}

    def follow(
        self, tree: Sequence[psutil.Process], record: ProcessRecord, cpu_seconds: float, now: float
    ) -> list[Sample]:
        """Measures a tree, whose processor time so far is a counter, at the Unix time `now`."""
        if record != self._record:
            self._begin(record)
        usage = self._meter.measure(tree, cpu_seconds, accelerator_busy=self._read_accelerator(now))
        if usage is not None:
            self._observe(usage, now)
            self._keep(record, now)
        return self._describe()

    def _begin(self, record: ProcessRecord) -> None:
        if self._record is None:
            self._restore(record)
        else:
            self._activity.begin_again()
        self._record = record

    def _read_accelerator(self, now: float) -> bool | None:
        try:
            return computes(self._accelerator.read(now)) if self._accelerator else None
        except OSError:
            return None  # The collector that shows it says why.

    def _observe(self, usage: Usage, now: float) -> None:
        try:
            reported = self._reported.read(now)
        except (OSError, ValueError):
            # Nothing is known of its progress now; the collector that shows it says why.
            return
        state = next((one.labels["trainer_state"] for one in reported if one.name == "trainer_state" and one.value), "")
        phase_start = value_of(reported, "trainer_phase_start_timestamp_seconds")
        stall_after = value_of(reported, "trainer_stall_after_seconds")
        seconds_in = {
            one.labels["trainer_state"]: one.value for one in reported if one.name == "trainer_phase_seconds_total"
        }
        before, self._seconds_in = self._seconds_in, seconds_in
        if state in ("", "stopped") or phase_start is None or stall_after is None:
            self._activity.pause(usage)
            return
        progress_at = max(phase_start, value_of(reported, "trainer_last_step_timestamp_seconds") or 0.0)
        at_rest = value_of(reported, "trainer_stall_at_rest_after_seconds")
        limits = Limits(stall_after, at_rest, value_of(reported, "trainer_usual_silence_seconds"))
        if state in STEPPING:
            own_seconds = seconds_in[state] - before[state] if state in seconds_in and state in before else 0.0
            self._activity.observe(usage, state, progress_at, limits, now, own_seconds=own_seconds)
        else:
            self._activity.observe_rest(usage, state, progress_at, limits, now)

    def _describe(self) -> list[Sample]:
        activity = self._activity
        numbers = {
            "trainer_activity_cores": activity.cores,
            "trainer_activity_usual_cores": activity.usual_cores,
            "trainer_activity_stall_after_seconds": activity.stall_after(),
        }
        states = [
            Sample("trainer_activity_state", {"trainer_activity_state": name}, float(name == activity.state))
            for name in ACTIVITIES
        ]
        return [Sample(name, {}, value) for name, value in numbers.items() if value is not None] + states

    def _restore(self, record: ProcessRecord) -> None:
        try:
            memory, is_same_process = parse(read_bounded(self._path, MAX_BYTES), record.identity.as_record())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("%s is not used: %s", self._path, error)
            return
        self._activity.remember(memory, is_same_process=is_same_process)

    def _keep(self, record: ProcessRecord, now: float) -> None:
        if self._kept_at is not None and 0 <= now - self._kept_at < KEEP_SECONDS:
            return
        memory = self._activity.memory()
        if not memory:
            return
        self._kept_at = now
        try:
            write_atomically(self._path, render(record.identity.as_record(), memory))
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                log.warning("cannot keep what is usual for the trainer in %s: %s", self._path, error.strerror)
            self._is_failing = True
