"""Drives the peer through rounds and stages between its steps, and prints one line per step."""

import logging
import time
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import UTC, datetime
from typing import Any, Protocol

from transformers import TrainerCallback

from trainer.config import TrainerConfig
from trainer.grpo import Earnings
from trainer.protocol import RoundAndStage, outputs_value
from trainer.rounds import Plan, RoundProgress, advance, follow, lead, to_record
from trainer.stopping import Stopper
from trainer.swarm.error import SwarmError
from trainer.swarm.publisher import Publisher

log = logging.getLogger(__name__)

REPLY_SECONDS = 15.0
LOG_WAITING_SECONDS = 60.0


class RunFinished(Exception):
    """The run reached its end between two steps."""


class Earner(Protocol):
    """The part of the trainer that reports what a step earned."""

    def take_earnings(self) -> Earnings: ...


class Telemetry(Protocol):
    """The part of the telemetry that is notified of rounds."""

    def set_phase(self, name: str) -> None: ...
    def set_round(self, round_number: int, stage: int) -> None: ...


class RoundDriver(TrainerCallback):
    """The callback that decides after each step whether to continue, wait, save or stop."""

    def __init__(
        self,
        config: TrainerConfig,
        *,
        peer_id: str,
        trainer: Earner,
        publisher: Publisher,
        telemetry: Telemetry,
        stopper: Stopper,
    ) -> None:
        self._config, self._peer_id, self._trainer = config, peer_id, trainer
        self._plan = Plan(config.steps_per_stage, config.stages_per_round, config.max_rounds)
        self._publisher, self._telemetry, self._stopper = publisher, telemetry, stopper
        self._progress = RoundProgress()
        self._step_began = self._saved_at = time.monotonic()
        self._seconds = 0.0
        self._stage_line = ""
        self.is_finished = False
        self.is_saved = True

    def start(self, saved: RoundProgress) -> None:
        """Resumes the progress saved in the run folder, as far as it agrees with the swarm's."""
        if self._publisher.leads:
            self._enter(lead(saved, self._ask(), self._plan))
        else:
            self._progress = saved
            self._enter(follow(saved, self._ask(), self._plan))

    # Callbacks of transformers.Trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Between its steps this trainer does nothing that it does not announce: a hang there is a stall too."""
        self._telemetry.set_phase("training")

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Waits for a stage to train in."""
        if self._progress.position is None:
            self._wait_for_round()
            self._telemetry.set_phase("training")
        self._stopper.begin_step()
        self._step_began = time.monotonic()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Until the step ends, weights and counters must change together."""
        self._stopper.hold()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Adds the step's reward to its stage, and advances."""
        self._stopper.end_step()
        self._stopper.release()
        self._seconds = time.monotonic() - self._step_began
        self.is_saved = False
        self._add(self._trainer.take_earnings())
        self.is_finished = self._progress.is_run_finished(self._plan) or state.global_step >= state.max_steps
        if self.is_finished or self._stopper.is_requested or self._publisher.is_swarm_lost:
            control.should_training_stop = control.should_save = True
        elif time.monotonic() - self._saved_at >= self._config.save_interval_seconds:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Records when the last checkpoint was written."""
        self._saved_at, self.is_saved = time.monotonic(), True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Prints the step's line; the last log of a run is not a step's."""
        if logs and "reward" in logs:
            numbers = f"reward={_number(logs['reward'])} loss={_number(logs.get('loss'))} seconds={self._seconds:.3f}"
            now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            print(f"step={state.global_step} {self._stage_line} {numbers} time={now}", flush=True)

    # Rounds

    def _add(self, earnings: Earnings) -> None:
        position = self._progress.position
        if position is None:
            return
        at, reward = position.round_and_stage, position.reward + earnings.reward
        self._stage_line = f"round={at.round} stage={at.stage} stage_reward={reward:.4f}"
        self._publisher.put_reward(at, reward)
        if earnings.question:
            texts = {"question": earnings.question, "answer": earnings.answer, "completion": earnings.completion}
            self._publisher.put_output(at, earnings.question, outputs_value(time.time(), at, self._peer_id, **texts))
        following = advance(self._progress, earnings.reward, self._plan, leader=self._publisher.leads)
        if self._publisher.leads:
            self._publisher.announce(at, is_new=False)
        if following.position is None or following.position.round_and_stage != at:
            self._enter(following)
        else:
            self._keep(following)

    def _enter(self, progress: RoundProgress) -> None:
        self._keep(progress)
        if progress.position is None:
            return
        at = progress.position.round_and_stage
        log.info("round %d, stage %d", at.round, at.stage)
        self._telemetry.set_round(*at)
        if self._publisher.leads:
            self._publisher.announce(at, is_new=True)

    def _keep(self, progress: RoundProgress) -> None:
        self._progress = progress
        self._publisher.save_progress(to_record(progress))

    def _wait_for_round(self) -> None:
        self._telemetry.set_phase("waiting")
        logged_at = -LOG_WAITING_SECONDS
        while self._progress.position is None:
            if self._progress.is_run_finished(self._plan):
                self.is_finished = True
                raise RunFinished
            if self._publisher.is_swarm_lost:
                raise SwarmError("the DHT process ended")
            if time.monotonic() - logged_at >= LOG_WAITING_SECONDS:
                logged_at = time.monotonic()
                log.info("waiting for the swarm's next round")
            decide = lead if self._publisher.leads else follow
            progress = decide(self._progress, self._ask(), self._plan)
            if progress != self._progress:
                self._enter(progress)
            else:
                time.sleep(self._config.poll_interval_seconds)

    def _ask(self) -> RoundAndStage | None:
        try:
            return self._publisher.ask_round_and_stage().result(timeout=REPLY_SECONDS)
        except FutureTimeout:
            return None


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else "-"
