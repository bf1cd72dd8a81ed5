"""Drives the peer through rounds and stages between its steps, and prints one line per step."""

import contextlib
import logging
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from transformers import TrainerCallback

from trainer import events
from trainer.config import TrainerConfig
from trainer.grpo import Earnings
from trainer.protocol import RoundAndStage, outputs_value, winners
from trainer.rounds import (
    Plan,
    RoundProgress,
    advance,
    catch_up,
    count_skipped,
    follow,
    is_published,
    keep_up,
    lead,
    list_sums,
    to_record,
)
from trainer.saving import Checkpoints
from trainer.stages.order import source_of, stage_at
from trainer.stages.published import Published
from trainer.stages.rows import StageRows
from trainer.stopping import Stopper
from trainer.swarm.error import SwarmError
from trainer.swarm.others import OtherPeers
from trainer.swarm.publisher import Publisher

log = logging.getLogger(__name__)

REPLY_SECONDS = 15.0
LOG_WAITING_SECONDS = 60.0
# How often a stage that needs others' outputs asks for them.
GATHER_SECONDS = 0.1
# Stages of seconds are not all worth a checkpoint.
STAGE_SAVE_SECONDS = 5.0
# A round is decided once the next one is over too: until then slower peers still earn in it.
ROUNDS_TO_SETTLE = 2
# Without progress in a long stage, an output still shows that the peer lives.
OUTPUT_SECONDS = 600.0


class RunFinished(Exception):
    """The run reached its end between two steps."""


class Earner(Protocol):
    """The part of the trainer that reports what a step earned, and takes the rows to train on."""

    rows: StageRows
    checkpoints: Checkpoints

    def take_earnings(self) -> Earnings: ...


class Telemetry(Protocol):
    """The part of the telemetry that is notified of rounds."""

    def set_phase(self, name: str) -> None: ...
    def set_round(self, round_number: int, stage: int) -> None: ...
    def stage_alone(self) -> None: ...
    def rounds_skipped(self, count: int) -> None: ...


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
        others: OtherPeers | None = None,
    ) -> None:
        self._config, self._peer_id, self._trainer, self._others = config, peer_id, trainer, others
        self._plan = Plan(config.steps_per_stage, config.stages_per_round, config.max_rounds)
        self._publisher, self._telemetry, self._stopper = publisher, telemetry, stopper
        self._progress = RoundProgress()
        self._step_began = self._saved_at = time.monotonic()
        self._seconds = 0.0
        self._stage_line = ""
        self._announced: RoundAndStage | None = None
        self._must_gather = False
        self._output_at = -OUTPUT_SECONDS
        self._last_round: int | None = None
        self._settled_before: int | None = None
        self.is_finished = False
        self.is_saved = True

    def start(self, saved: RoundProgress) -> None:
        """Resumes the progress saved in the run folder, as far as it agrees with the swarm's."""
        self._last_round = saved.position.round if saved.position else saved.finished_round
        # What the log holds beyond these was neither saved nor published, and is not counted.
        events.record("progress_resumed", sums=list_sums(saved))
        self._progress = saved
        self._enter(self._decide())

    # Callbacks of transformers.Trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Between its steps this trainer does nothing that it does not announce: a hang there is a stall too."""
        self._telemetry.set_phase("training")

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Waits for a stage to train in."""
        if self._progress.position is None:
            self._wait_for_round()
            self._telemetry.set_phase("training")
        if self._must_gather:
            self._gather()
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
        before = self._progress.position
        self._add(self._trainer.take_earnings())
        after = self._progress.position
        has_stage_ended = before is not None and (after is None or after.round_and_stage != before.round_and_stage)
        self.is_finished = self._progress.is_run_finished(self._plan) or state.global_step >= state.max_steps
        if self.is_finished or self._stopper.is_requested or self._publisher.is_swarm_lost:
            control.should_training_stop = control.should_save = True
        elif time.monotonic() - self._saved_at >= self._seconds_to_save(has_stage_ended):
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Records when the last checkpoint was written."""
        self._saved_at, self.is_saved = time.monotonic(), not self._trainer.checkpoints.is_paused

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
        self._stage_line = f"round={at.round} stage={at.stage} stage_reward={reward:.4f} others={earnings.others}"
        following = advance(self._progress, earnings.reward, self._plan, leader=self._publisher.leads)
        if self._publisher.leads:
            following = keep_up(following, self._publisher.furthest, self._plan)
        self._publisher.put_sums(following)
        is_overdue = time.monotonic() - self._output_at >= OUTPUT_SECONDS
        if earnings.question and (is_overdue or is_published(position.steps, self._plan)):
            self._publish(at, earnings)
        if self._publisher.leads:
            self._publisher.announce(at, is_new=False)
        if following.position is None or following.position.round_and_stage != at:
            self._publisher.hurry()
            events.record("stage_finished", round=at.round, stage=at.stage, reward=reward)
            announced = self._others.announced if self._others else None
            if not self._publisher.leads and announced is not None:
                following = catch_up(following, announced, self._plan)
            self._enter(following)
        else:
            self._keep(following)

    def _publish(self, at: RoundAndStage, earnings: Earnings) -> None:
        completion = stage_at(at.stage).publish(earnings.completion)
        output = Published(earnings.question, earnings.answer, completion, earnings.prompt if at.stage else "")
        value = outputs_value(time.time(), at, self._peer_id, **output._asdict())
        if self._publisher.put_output(at, output.question, value):
            self._trainer.rows.remember(at, output)
            self._output_at = time.monotonic()

    def _enter(self, progress: RoundProgress) -> None:
        self._keep(progress)
        if progress.position is None:
            events.record("waiting_for_round", finished_round=progress.finished_round)
            return
        at = progress.position.round_and_stage
        skipped = count_skipped(self._last_round, at.round)
        if skipped:
            self._telemetry.rounds_skipped(skipped)
        events.record("stage_entered", round=at.round, stage=at.stage, skipped_rounds=skipped or None)
        self._telemetry.set_round(*at)
        if self._publisher.leads:
            self._publisher.announce(at, is_new=True)
        if at.round != self._last_round:
            self._settle(at.round - ROUNDS_TO_SETTLE)
        self._last_round = at.round
        self._trainer.rows.enter(at, progress.position.steps)
        if self._others:
            source = source_of(at)
            self._others.watch(*([source] if source else []), at)
            self._must_gather = source is not None

    def _gather(self) -> None:
        """Waits, for a limited time, until the stage can be made from what others published."""
        self._must_gather = False
        began = time.monotonic()
        rows, others = self._trainer.rows, self._others
        assert others is not None
        waited = 0.0
        while rows.is_alone:
            self._telemetry.set_phase("waiting")
            with contextlib.suppress(FutureTimeout):
                self._publisher.ask_others().result(timeout=REPLY_SECONDS)
            waited = time.monotonic() - began
            if not rows.is_alone:
                break
            if not others.are_expected(rows.at) or waited >= self._config.others_timeout_seconds:
                self._telemetry.stage_alone()
                break
            if self._publisher.is_swarm_lost:
                # The run ends with the step, which saves the weights.
                break
            time.sleep(GATHER_SECONDS)
        events.record(
            "outputs_gathered",
            round=rows.at.round,
            stage=rows.at.stage,
            alone=str(rows.is_alone).lower(),
            waited_seconds=waited,
        )
        self._telemetry.set_phase("training")

    def _settle(self, last: int) -> None:
        """Logs who won the rounds up to `last` that this run has seen, as the swarm's records say now."""
        first = self._settled_before
        self._settled_before = max(last + 1, first or 0)
        if first is None:
            return
        final = self._plan.stages_per_round - 1
        for number in range(max(first, last - ROUNDS_TO_SETTLE), last + 1):
            at = RoundAndStage(number, final)
            self._publisher.ask_rewards(at).add_done_callback(partial(_record_winners, number))

    def _keep(self, progress: RoundProgress) -> None:
        self._progress = progress
        self._trainer.checkpoints.progress = to_record(progress)
        self._publisher.save_progress(progress)

    def _seconds_to_save(self, has_stage_ended: bool) -> float:
        interval = self._config.save_interval_seconds
        return min(interval, STAGE_SAVE_SECONDS) if has_stage_ended else interval

    def _wait_for_round(self) -> None:
        self._telemetry.set_phase("waiting")
        logged_at = time.monotonic() - LOG_WAITING_SECONDS
        self._announced = self._ask()
        while self._progress.position is None:
            if self._progress.is_run_finished(self._plan):
                self.is_finished = True
                raise RunFinished
            if self._publisher.is_swarm_lost:
                raise SwarmError("the DHT process ended")
            if time.monotonic() - logged_at >= LOG_WAITING_SECONDS:
                logged_at = time.monotonic()
                log.info(self._why_waiting())
            progress = self._decide()
            if progress != self._progress:
                self._enter(progress)
            else:
                time.sleep(self._config.poll_interval_seconds)

    def _decide(self) -> RoundProgress:
        """Where the swarm's round leaves this peer; what it earned before is published again once that is known."""
        self._announced = self._ask()
        decide = lead if self._publisher.leads else follow
        progress = decide(self._progress, self._announced, self._plan)
        if self._publisher.leads or self._announced is not None:
            self._publisher.put_sums(progress)
        return progress

    def _why_waiting(self) -> str:
        if self._announced is None and self._publisher.looks_for_others:
            return "looking for the swarm's round, before this peer leads: others may have led it further"
        if self._announced is None and self._progress.finished_round is None:
            return "waiting: no source announces the swarm's round (nobody writes rl_swarm_rs)"
        if self._announced is None:
            return "waiting for the swarm's next round; no source announces it now (nobody writes rl_swarm_rs)"
        return f"waiting for the swarm's next round; it is in round {self._announced.round}"

    def _ask(self) -> RoundAndStage | None:
        try:
            return self._publisher.ask_round_and_stage().result(timeout=REPLY_SECONDS)
        except FutureTimeout:
            return None


def _record_winners(number: int, reply: "Future[dict[str, float] | None]") -> None:
    rewards = reply.result()
    if rewards:
        events.record("round_won", round=number, peers=len(rewards), winners=",".join(winners(rewards)) or "-")


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else "-"
