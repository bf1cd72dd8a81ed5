"""The callback that reports a trainer's progress in trainer.prom; it works in any transformers or TRL trainer.

    trainer = GRPOTrainer(..., callbacks=[PeerTelemetry("runs/peer-1")])

It never raises into training and never waits for a disk: the training thread changes a few numbers, and a thread of
its own writes the files. A folder that cannot be written costs the metrics, not the run.

It does not guess what a trainer does next. From a step's begin to its update the trainer is `training`; before, between
and after its steps it is `waiting`, without being judged by its pace, unless it says itself what it does (`phase`). So
it is once an exception or Ctrl-C has left the training, and the process lives on.
"""

import atexit
import contextlib
import copy
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from exporter import stacks
from exporter.metrics import SETTINGS, STATES, Sample, families
from exporter.pace import Pace
from exporter.progress import pace_file
from exporter.progress.foreign_values import read_accelerator_memory, to_label, to_number
from exporter.progress.model import Progress
from exporter.progress.names import unscored
from exporter.progress.run_settings import clean_settings, read_mark, read_settings
from exporter.progress.training_loop import TrainingLoop, find_training_loop
from exporter.textfile_writer import TextfileWriter

log = logging.getLogger(__name__)

# Where a launcher says which of several processes this is, until the Trainer knows better.
RANK_VARIABLES = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID")

# Who speaks for a run folder in this process: the one made last, or whose training began last.
_speakers: dict[str, "PeerTelemetry"] = {}
_speaking = threading.RLock()


class PeerTelemetry(TrainerCallback):
    """Fills `trainer.prom` in `run_dir`. All methods are thread-safe, take microseconds and never raise.

    A signal's handler may call them too, whatever it interrupts.

    Of several processes of one trainer the first one writes, as the Trainer counts them; of several callbacks for one
    folder in a process, the one made last, or whose training began last. A copy or an unpickled one has the same folder
    and labels, and what was learnt of the pace; it writes nothing before it is used, and counts from 0.
    """

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
        # The process may change its folder later.
        self._run_dir = Path(os.path.abspath(run_dir))
        self._interval = write_interval_seconds
        self._info = {
            "peer_id": "",
            "nickname": to_label(self._run_dir.name if nickname is None else nickname),
            "model": to_label(model),
            "device": to_label(device),
        }
        self._settings: dict[str, str] = {}
        self._begin(pace or Pace())
        if self._may_speak:
            self._speak()

    def _begin(self, pace: Pace) -> None:
        self._progress = Progress(pace)
        self._mark: str | None = None
        self._loop: TrainingLoop | None = None
        self._counted: object = None
        self._has_complained = False
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._writer: TextfileWriter | None = None
        self._ended: TextfileWriter | None = None
        self._may_speak = _is_first_by_its_launcher()

    def __getstate__(self) -> dict[str, Any]:
        own = {
            "_progress",
            "_mark",
            "_loop",
            "_counted",
            "_has_complained",
            "_lock",
            "_pid",
            "_writer",
            "_ended",
            "_may_speak",
        }
        kept = {name: value for name, value in self.__dict__.items() if name not in own}
        # A fork may have inherited a lock that a thread held which it lacks.
        with self._lock if self._is_here() else contextlib.nullcontext():
            return {**kept, "pace": copy.deepcopy(self._progress.pace)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = dict(state)
        pace = kept.pop("pace")
        self.__dict__.update(kept, _info=dict(kept["_info"]), _settings=dict(kept.get("_settings", {})))
        self._begin(pace)

    # Called by the trainer

    def set_info(self, **labels: str) -> None:
        """Sets labels of trainer_info: peer_id, nickname, model, device."""
        with self._changed():
            self._info.update({name: to_label(value) for name, value in labels.items() if name in self._info})

    def set_settings(self, **labels: object) -> None:
        """Sets labels of trainer_settings_info, such as task; others are read from the Trainer's arguments."""
        with self._changed():
            self._settings |= clean_settings(labels)

    def set_phase(self, name: str) -> None:
        """Enters a phase: one of `metrics.STATES`; another name is ignored.

        It lasts until another phase is entered, here or by a hook, and has its own limit: a trainer that says
        `training` is judged as training between its steps too.
        """
        if name in STATES:
            with self._changed():
                self._progress.enter(name)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Enters a phase and returns to the previous one."""
        previous, was_announced = self._progress.phase, self._progress.is_announced
        self.set_phase(name)
        try:
            yield
        finally:
            with self._changed():
                self._progress.enter(previous, announced=was_announced)

    def set_round(self, round_number: int, stage: int) -> None:
        """Sets the round and stage of the peer."""
        with self._changed():
            self._progress.set_swarm(swarm_round=float(round_number), swarm_stage=float(stage))

    def set_connected_peers(self, count: int) -> None:
        """Sets the number of swarm peers that the trainer is connected to."""
        with self._changed():
            self._progress.set_swarm(swarm_connected_peers=float(count))

    def set_reward_refused(self, is_refused: bool) -> None:
        """Records whether the swarm refuses this peer's reward."""
        with self._changed():
            self._progress.set_swarm(swarm_reward_refused=float(is_refused))

    def set_leader_overruled(self, is_overruled: bool) -> None:
        """Records whether the swarm shows another round than this peer announces as its leader."""
        with self._changed():
            self._progress.set_swarm(swarm_leader_overruled=float(is_overruled))

    def published(self, at: float) -> None:
        """Records that the swarm accepted a publication at this Unix time."""
        with self._changed():
            self._progress.set_swarm(swarm_last_publish_timestamp_seconds=float(at))

    def publish_failed(self) -> None:
        """Counts a publication that failed."""
        with self._changed():
            self._progress.count_in_swarm("swarm_publish_failures_total")

    def rounds_skipped(self, count: int) -> None:
        """Counts rounds that the peer left out to join the swarm's current one."""
        with self._changed():
            self._progress.count_in_swarm("swarm_rounds_skipped_total", float(count))

    def stage_alone(self) -> None:
        """Counts a stage that found no outputs of other peers in time."""
        with self._changed():
            self._progress.count_in_swarm("swarm_stages_alone_total")

    def outputs_rejected(self, count: int) -> None:
        """Counts outputs of other peers that were malformed."""
        with self._changed():
            self._progress.count_in_swarm("swarm_outputs_rejected_total", float(count))

    def checkpoint_saved(self) -> None:
        """Records that a checkpoint is complete."""
        with self._changed():
            self._progress.set_values(trainer_checkpoint_timestamp_seconds=time.time())

    def set_checkpoints_paused(self, is_paused: bool) -> None:
        """Sets whether the trainer goes on without writing checkpoints."""
        with self._changed():
            self._progress.set_values(trainer_checkpoints_paused=float(is_paused))

    def close(self) -> None:
        """Writes the state `stopped` and ends the writer thread, until a training begins. Again, it does nothing."""
        writer = self._fall_silent()
        if writer:
            with self._lock:
                self._progress.enter("stopped")
            writer.close()

    # Trainer callbacks

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The Trainer is made, and knows which of several processes this is."""
        self._decide_who_speaks(state)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Decides which process speaks, and fills in the labels that were not set."""
        before, self._mark = self._mark, read_mark(args, kwargs.get("model"))
        self._decide_who_speaks(state)
        model = getattr(kwargs.get("model"), "config", None)
        device = getattr(args, "device", None)
        self.set_settings(**read_settings(args, kwargs.get("model")))
        self._complete_info(device=getattr(device, "type", ""), model=getattr(model, "_name_or_path", ""))
        with self._changed():
            self._loop, self._counted = find_training_loop(), None
            self._progress.begin_training()
            if before is not None and before != self._mark:
                self._progress.pace.forget()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Starts the clock of a step."""
        with self._changed():
            if self._loop and not self._loop.is_calling():
                self._loop = None
            self._progress.begin_step()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ends what is training for certain; other callbacks may be notified of the step's end before this one."""
        with self._changed():
            self._progress.end_computing()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Streamed data may end within a step of several batches; what follows is no training."""
        with self._changed():
            self._progress.end_computing()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Counts the step, once, also where the Trainer was given this callback twice."""
        number = getattr(state, "global_step", 0)
        with self._changed():
            step = id(state), number
            if not number or step != self._counted:
                self._progress.end_step()
            self._counted = step

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The Trainer evaluates or predicts."""
        with self._changed():
            self._progress.evaluate()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ends an evaluation."""
        with self._changed():
            self._progress.end_evaluation()

    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        """Ends a prediction."""
        with self._changed():
            self._progress.end_evaluation()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A swarm peer trains again after each stage; for any other trainer this is the end."""
        with self._changed():
            self._loop = None
            self._progress.end_training()

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Takes reward, loss, gradient, lengths and the other numbers of the table from what the trainer logs."""
        named = {name: value for name, value in logs.items() if isinstance(name, str)} if logs else {}
        read = {name: to_number(value) for name, value in named.items()}
        numbers = {name: value for name, value in read.items() if value is not None} | unscored(named)
        with self._changed():
            self._progress.take_logged(numbers)

    # Output

    def collect(self) -> list[Any]:
        """All metrics at one instant; the registry calls it."""
        accelerator = read_accelerator_memory(self._info["device"])
        with self._lock:
            samples = [Sample("trainer_info", dict(self._info), 1.0), *self._progress.samples()]
            if self._settings:
                samples.append(Sample("trainer_settings_info", dict.fromkeys(SETTINGS, "") | self._settings, 1.0))
        if accelerator is not None:
            samples.append(Sample("trainer_accelerator_memory_bytes", {}, accelerator))
        samples.append(Sample("trainer_stacks_on_signal", {}, float(stacks.is_registered())))
        return families(samples)

    def restore(self, last_step: float | None, pace: bytes | None) -> None:
        """Takes up what an earlier process left: its last step's Unix time, its pace. Raises ValueError."""
        memory = pace_file.parse(pace, self._mark) if pace is not None and self._mark else {}
        with self._lock:
            if last_step is not None:
                self._progress.restore_last_step(last_step)
            self._progress.pace.remember(memory)

    def pace_to_keep(self) -> bytes | None:
        """What a later process may take up; None while there is nothing, or nobody knows what it depends on."""
        with self._lock:
            mark, memory = self._mark, self._progress.pace.memory()
        return pace_file.render(mark, memory) if mark and memory else None

    def look(self) -> None:
        """Notices that a training was left, of which no callback is notified."""
        loop = self._loop
        if loop and loop.is_left():
            with self._changed():
                if self._loop is loop:  # Another training may have begun.
                    self._loop = None
                    self._progress.break_off()

    @contextlib.contextmanager
    def _changed(self) -> Iterator[None]:
        if not self._is_here():  # A fork of the trainer does not report for it.
            yield
            return
        with self._lock:
            try:
                yield
            except Exception as error:  # noqa: BLE001 the promise to training: a value of no use costs that value
                if not self._has_complained:
                    log.warning("a value for the metrics of %s cannot be used: %s", self._run_dir, error)
                self._has_complained = True
        if self._may_speak and self._writer is None:
            self._speak()
        writer = self._writer
        if writer:
            writer.wake()

    def _is_here(self) -> bool:
        return os.getpid() == self._pid

    # Who speaks

    def _decide_who_speaks(self, state: Any) -> None:
        if not self._is_here():  # A fork trains, in place of the process that made this callback.
            self._lock, self._pid, self._writer, self._ended = threading.RLock(), os.getpid(), None, None
        is_first = getattr(state, "is_world_process_zero", None)
        if _is_first_by_its_launcher() if is_first is None else is_first:
            self._speak()
        elif writer := self._fall_silent():
            writer.abandon()

    def _speak(self) -> None:
        with _speaking:
            self._may_speak = True
            if self._writer:
                # Another process may have taken itself for the first one meanwhile.
                self._writer.claim_again()
                return
            folder = os.path.realpath(self._run_dir)
            before = _speakers.get(folder)
            if before is not None and before._is_here():
                if writer := before._fall_silent():
                    writer.abandon()
                self._ended, self._may_speak = before._ended, True
            try:
                self._writer = TextfileWriter(self._run_dir, self, self._interval, after=self._ended)
            except RuntimeError as error:  # No thread can be started: a limit, or the interpreter is about to end.
                self._may_speak = False
                log.warning("cannot write metrics to %s: %s; training continues", self._run_dir, error)
                return
            _speakers[folder] = self
            atexit.register(self.close)

    def _fall_silent(self) -> TextfileWriter | None:
        """Writes no more, until a training begins; the writer that is to be ended, if there is one."""
        with _speaking:
            self._may_speak = False
            writer, self._writer = self._writer, None
            if writer is None or not writer.is_here():
                return None
            self._ended = writer
            atexit.unregister(self.close)
        return writer

    def _complete_info(self, **labels: str) -> None:
        self.set_info(**{name: value for name, value in labels.items() if not self._info[name]})


def _is_first_by_its_launcher() -> bool:
    return next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), "0") == "0"
