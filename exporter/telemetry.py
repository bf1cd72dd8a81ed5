"""The callback that reports a trainer's progress in trainer.prom; it works in any transformers or TRL trainer.

    trainer = GRPOTrainer(..., callbacks=[PeerTelemetry("runs/peer-1")])

It never raises into training and never waits for a disk: the training thread changes a few numbers, and a thread of
its own writes the file. A folder that cannot be written costs the metrics, not the run.
"""

import atexit
import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from transformers import TrainerCallback

from exporter.metrics import STATES, STEP_BUCKETS, Sample, families, histogram
from exporter.pace import Pace
from exporter.progress.names import FINITE_NAMES, TOKENS_NAMES, VALUES, find_first
from exporter.textfile_writer import TextfileWriter

# Time in these phases is not part of a step, and a peer in them is not expected to step.
RESTING = frozenset({"waiting", "saving"})
# The phases that make up a step.
STEPPING = frozenset({"generating", "training"})


class PeerTelemetry(TrainerCallback):
    """Fills `trainer.prom` in `run_dir`. All methods are thread-safe, take microseconds and never raise."""

    def __init__(
        self,
        run_dir: str | os.PathLike[str],
        *,
        nickname: str | None = None,
        model: str | None = None,
        device: str | None = None,
        pace: Pace | None = None,
        write_interval_seconds: float = 1.0,
    ) -> None:
        run_dir = Path(run_dir)
        self._pace = pace or Pace()
        self._lock = threading.Lock()
        self._info = {
            "peer_id": "",
            "nickname": run_dir.name if nickname is None else nickname,
            "model": model or "",
            "device": device or "",
        }
        self._phase = "starting"
        self._phase_begin = time.perf_counter()
        self._phase_seconds = dict.fromkeys(STATES, 0.0)
        self._values: dict[str, float] = {"trainer_steps_total": 0.0, "trainer_nonfinite_steps_total": 0.0}
        self._values["trainer_phase_start_timestamp_seconds"] = time.time()
        self._buckets = [0] * len(STEP_BUCKETS)
        self._step_seconds = 0.0
        self._step_begin: float | None = None
        self._rest_begin: float | None = None
        self._rested = 0.0
        self._silent_since = self._phase_begin
        self._silences: dict[str, float] = {}
        self._tokens_before = 0.0
        self._tokens_logged = 0.0
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        self._writer: TextfileWriter | None = None
        # With several processes per trainer, only the first one reports.
        if os.environ.get("RANK", "0") == "0":
            self._writer = TextfileWriter(run_dir, registry, write_interval_seconds, self._restore_last_step)
            atexit.register(self.close)

    # Called by the trainer

    def set_info(self, **labels: str) -> None:
        """Sets labels of trainer_info: peer_id, nickname, model, device."""
        with self._changed():
            self._info.update({name: str(value) for name, value in labels.items() if name in self._info})

    def set_phase(self, name: str) -> None:
        """Enters a phase: one of `metrics.STATES`; another name is ignored."""
        if name in STATES and name != self._phase:
            with self._changed():
                self._enter(name)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Enters a phase and returns to the previous one."""
        previous = self._phase
        self.set_phase(name)
        try:
            yield
        finally:
            self.set_phase(previous)

    def set_round(self, round_number: int, stage: int) -> None:
        """Sets the round and stage of the peer."""
        with self._changed():
            self._join_swarm()
            self._values.update(swarm_round=round_number, swarm_stage=stage)

    def set_connected_peers(self, count: int) -> None:
        """Sets the number of swarm peers that the trainer is connected to."""
        with self._changed():
            self._join_swarm()
            self._values["swarm_connected_peers"] = count

    def published(self, at: float) -> None:
        """Records that the swarm accepted a publication at this Unix time."""
        with self._changed():
            self._join_swarm()
            self._values["swarm_last_publish_timestamp_seconds"] = at

    def publish_failed(self) -> None:
        """Counts a publication that failed."""
        with self._changed():
            self._join_swarm()
            self._values["swarm_publish_failures_total"] += 1

    def close(self) -> None:
        """Writes the state `stopped` and ends the writer thread. Calling it again does nothing."""
        writer, self._writer = self._writer, None
        if writer and writer.is_here():
            atexit.unregister(self.close)
            with self._lock:
                self._enter("stopped")
            writer.close()

    # Trainer callbacks

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Enters training, and fills in the labels that were not set."""
        model = getattr(kwargs.get("model"), "config", None)
        device = getattr(args, "device", None)
        self._complete_info(device=getattr(device, "type", ""), model=getattr(model, "_name_or_path", ""))
        self.set_phase("training")

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Starts the clock of a step."""
        self.set_phase("training")
        self._step_begin, self._rested = time.perf_counter(), 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Counts the step, and enters the next phase."""
        with self._changed():
            if self._step_begin is not None:
                self._count_step(time.perf_counter() - self._step_begin - self._rested)
                self._step_begin = None
            self._silent_since = time.perf_counter()
            self._values["trainer_last_step_timestamp_seconds"] = time.time()
            self._values["trainer_steps_total"] += 1
            if control.should_evaluate or control.should_save:
                self._enter("waiting" if control.should_evaluate else "saving")

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ends the evaluation phase."""
        self.set_phase("saving" if control.should_save else "training")

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ends the saving phase."""
        self.set_phase("training")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A swarm peer trains again after each stage; for any other trainer this is the end."""
        self.set_phase("waiting" if "swarm_round" in self._values else "stopped")

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Takes reward, loss, lengths and tokens from what the trainer logs."""
        numbers = {name: float(value) for name, value in (logs or {}).items() if isinstance(value, int | float)}
        with self._changed():
            if any(not math.isfinite(numbers.get(name, 0.0)) for name in FINITE_NAMES):
                self._values["trainer_nonfinite_steps_total"] += 1
            for name, logged_as in VALUES.items():
                self._set_finite(name, find_first(numbers, logged_as))
            self._count_tokens(find_first(numbers, TOKENS_NAMES))

    # Output

    def collect(self) -> list[Any]:
        """All metrics at one instant; the registry calls it."""
        accelerator = _accelerator_memory(self._info["device"])
        with self._lock:
            phase, values = self._phase, dict(self._values)
            buckets, seconds = list(self._buckets), self._step_seconds
            spent = dict(self._phase_seconds)
            spent[phase] += time.perf_counter() - self._phase_begin
            values["trainer_stall_after_seconds"] = self._pace.stall_after(phase)
            info = dict(self._info)
        if accelerator is not None:
            values["trainer_accelerator_memory_bytes"] = accelerator
        samples = [Sample("trainer_info", info, 1.0)]
        samples += [Sample("trainer_state", {"trainer_state": name}, float(name == phase)) for name in STATES]
        samples += [
            Sample("trainer_phase_seconds_total", {"trainer_state": name}, value) for name, value in spent.items()
        ]
        samples += histogram("trainer_step_duration_seconds", STEP_BUCKETS, buckets, seconds)
        samples += [Sample(name, {}, value) for name, value in values.items()]
        return families(samples)

    @contextlib.contextmanager
    def _changed(self) -> Iterator[None]:
        with self._lock:
            yield
        writer = self._writer
        if writer:
            writer.wake()

    def _restore_last_step(self, previous_last_step: float | None) -> None:
        with self._lock:
            if previous_last_step is not None:
                self._values.setdefault("trainer_last_step_timestamp_seconds", previous_last_step)

    def _enter(self, phase: str) -> None:
        now = time.perf_counter()
        if self._rest_begin is not None:
            self._rested += now - self._rest_begin
        self._rest_begin = now if phase in RESTING else None
        self._phase_seconds[self._phase] += now - self._phase_begin
        self._note_silence(now)
        self._phase_begin = self._silent_since = now
        self._phase = phase
        self._values["trainer_phase_start_timestamp_seconds"] = time.time()

    def _join_swarm(self) -> None:
        self._values.setdefault("swarm_publish_failures_total", 0.0)

    def _complete_info(self, **labels: str) -> None:
        self.set_info(**{name: value for name, value in labels.items() if not self._info[name]})

    def _count_step(self, seconds: float) -> None:
        seconds = max(0.0, seconds)
        self._note_silence(time.perf_counter())
        for phase, silence in self._silences.items():
            self._pace.add(silence, phase)
        self._silences.clear()
        self._step_seconds += seconds
        self._buckets[next(i for i, bound in enumerate(STEP_BUCKETS) if seconds <= bound)] += 1

    def _note_silence(self, now: float) -> None:
        """Keeps the longest silence of the step in each phase, measured as the stall rule measures it."""
        if self._phase in STEPPING:
            self._silences[self._phase] = max(self._silences.get(self._phase, 0.0), now - self._silent_since)

    def _set_finite(self, name: str, value: float | None) -> None:
        if value is not None and math.isfinite(value):
            self._values[name] = value

    def _count_tokens(self, logged: float | None) -> None:
        if logged is None or not math.isfinite(logged):
            return
        if logged < self._tokens_logged:  # The Trainer counts from 0 again in each train().
            self._tokens_before += self._tokens_logged
        self._tokens_logged = logged
        self._values["trainer_tokens_total"] = self._tokens_before + logged


def _accelerator_memory(device: str) -> float | None:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return None
    if device == "cuda" and torch.cuda.is_initialized():
        return float(sum(torch.cuda.memory_reserved(index) for index in range(torch.cuda.device_count())))
    if device == "mps":
        return float(torch.mps.driver_allocated_memory())
    return None
