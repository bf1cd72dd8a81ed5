"""The callback that reports a trainer's progress in trainer.prom; it works in any transformers or TRL trainer.

    trainer = GRPOTrainer(..., callbacks=[PeerTelemetry("runs/peer-1")])

It never raises into training and never waits for a disk: the training thread changes a few numbers, and a thread of
its own writes the file. A folder that cannot be written costs the metrics, not the run.
"""

import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from transformers import TrainerCallback

from exporter.metrics import STATES, Sample, families
from exporter.pace import Pace
from exporter.progress.model import Progress
from exporter.textfile_writer import TextfileWriter


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
        self._lock = threading.Lock()
        self._progress = Progress(pace)
        self._info = {
            "peer_id": "",
            "nickname": run_dir.name if nickname is None else nickname,
            "model": model or "",
            "device": device or "",
        }
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
        if name in STATES and name != self._progress.phase:
            with self._changed():
                self._progress.enter(name)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Enters a phase and returns to the previous one."""
        previous = self._progress.phase
        self.set_phase(name)
        try:
            yield
        finally:
            self.set_phase(previous)

    def set_round(self, round_number: int, stage: int) -> None:
        """Sets the round and stage of the peer."""
        with self._changed():
            self._progress.set_swarm(swarm_round=round_number, swarm_stage=stage)

    def set_connected_peers(self, count: int) -> None:
        """Sets the number of swarm peers that the trainer is connected to."""
        with self._changed():
            self._progress.set_swarm(swarm_connected_peers=count)

    def published(self, at: float) -> None:
        """Records that the swarm accepted a publication at this Unix time."""
        with self._changed():
            self._progress.set_swarm(swarm_last_publish_timestamp_seconds=at)

    def publish_failed(self) -> None:
        """Counts a publication that failed."""
        with self._changed():
            self._progress.count_publish_failure()

    def close(self) -> None:
        """Writes the state `stopped` and ends the writer thread. Calling it again does nothing."""
        writer, self._writer = self._writer, None
        if writer and writer.is_here():
            atexit.unregister(self.close)
            with self._lock:
                self._progress.enter("stopped")
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
        with self._changed():
            self._progress.begin_step()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Counts the step, and enters the next phase."""
        with self._changed():
            self._progress.end_step()
            if control.should_evaluate or control.should_save:
                self._progress.enter("waiting" if control.should_evaluate else "saving")

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ends the evaluation phase."""
        self.set_phase("saving" if control.should_save else "training")

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ends the saving phase."""
        self.set_phase("training")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A swarm peer trains again after each stage; for any other trainer this is the end."""
        self.set_phase("waiting" if self._progress.is_in_swarm else "stopped")

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Takes reward, loss, lengths and tokens from what the trainer logs."""
        numbers = {name: float(value) for name, value in (logs or {}).items() if isinstance(value, int | float)}
        with self._changed():
            self._progress.take_logged(numbers)

    # Output

    def collect(self) -> list[Any]:
        """All metrics at one instant; the registry calls it."""
        accelerator = _accelerator_memory(self._info["device"])
        with self._lock:
            samples = [Sample("trainer_info", dict(self._info), 1.0), *self._progress.samples()]
        if accelerator is not None:
            samples.append(Sample("trainer_accelerator_memory_bytes", {}, accelerator))
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
                self._progress.restore_last_step(previous_last_step)

    def _complete_info(self, **labels: str) -> None:
        self.set_info(**{name: value for name, value in labels.items() if not self._info[name]})


def _accelerator_memory(device: str) -> float | None:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return None
    if device == "cuda" and torch.cuda.is_initialized():
        return float(sum(torch.cuda.memory_reserved(index) for index in range(torch.cuda.device_count())))
    if device == "mps":
        return float(torch.mps.driver_allocated_memory())
    return None
