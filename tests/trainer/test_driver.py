"""The driver joins stages: with what others published if there is any in time, and in the swarm's current round."""

import logging
import math
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.lazy import lazily
from tests.trainer.stages.test_rows import ANN, ME, Sums, answered
from trainer.config import TrainerConfig
from trainer.protocol import RoundAndStage, outputs_value
from trainer.rounds import Position, RoundProgress, StageSum
from trainer.stages.row import Limits
from trainer.stages.rows import StageRows
from trainer.swarm.others import OtherPeers
from trainer.swarm.records import Found
from trainer.tasks.task import Task

driver = lazily("trainer.driver")
grpo = lazily("trainer.grpo")

PEER = "QmRu2j7TxZvUt4cGgtvNFbv8LrMbM5nwCwwTgvhQJNTVoi"
CONTROL = SimpleNamespace(should_training_stop=False, should_save=False)
STATE = SimpleNamespace(global_step=1, max_steps=10**9)


class Telemetry:
    """What the driver reports."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.alone = self.skipped = self.rejected = 0

    def set_phase(self, name: str) -> None:
        self.phases.append(name)

    def set_round(self, round_number: int, stage: int) -> None:
        pass

    def stage_alone(self) -> None:
        self.alone += 1

    def rounds_skipped(self, count: int) -> None:
        self.skipped += count

    def outputs_rejected(self, count: int) -> None:
        self.rejected += count


class Publisher:
    """A swarm of records in memory, which answers at once."""

    is_swarm_lost = False
    shards = 1
    furthest: RoundAndStage | None = None
    looks_for_others = False

    def __init__(self, others: OtherPeers, *, leads: bool) -> None:
        self.leads, self.others, self.records, self.put, self.asked = leads, others, {}, [], 0  # type: ignore[var-annotated]

    def get(self, key: str) -> Any:
        return self.records.get(key)

    def find(self, key: str) -> Any:
        return {subkey: Found(value, math.inf) for subkey, value in self.records.get(key, {}).items()}

    def put_sums(self, progress: RoundProgress) -> None:
        self.put.append({at: one.reward for at, one in progress.sums.items()})

    def put_output(self, at: RoundAndStage, question: str, value: Any) -> bool:
        return True

    def announce(self, at: RoundAndStage, *, is_new: bool) -> None:
        self.records["rl_swarm_rs"] = tuple(at)

    def hurry(self) -> None:
        pass

    def save_progress(self, record: Any) -> None:
        pass

    def ask_others(self) -> "Future[None]":
        self.asked += 1
        self.others.refresh(self, self.read_round)
        return self._done(None)

    def ask_round_and_stage(self) -> "Future[Any]":
        return self._done(self.read_round())

    def read_round(self) -> RoundAndStage | None:
        found = self.records.get("rl_swarm_rs")
        return None if found is None else RoundAndStage(*found)

    def ask_rewards(self, at: RoundAndStage) -> "Future[Any]":
        return self._done(self.records.get(f"rl_swarm_rewards_{at.round}_{at.stage}"))

    def publishes(self, peer_id: str, at: RoundAndStage, *, answers: bool = True) -> None:
        """Another peer earns in a stage, and perhaps answers."""
        self.records.setdefault(f"rl_swarm_rewards_{at.round}_{at.stage}", {})[peer_id] = 4.0
        if answers:
            value = outputs_value(1.0, at, peer_id, **(answered(1, "5")._asdict() | {"prompt": "p"}))
            self.records[f"rl_swarm_outputs_{peer_id}_{at.round}_{at.stage}"] = {"q": value}

    @staticmethod
    def _done(value: Any) -> "Future[Any]":
        reply: Future[Any] = Future()
        reply.set_result(value)
        return reply


class Run:
    """A driver and all around it; `step` is one step of the trainer that earns 1."""

    def __init__(self, **options: Any) -> None:
        leader = options.pop("leader", True)
        settings = {"steps_per_stage": 1, "others_timeout_seconds": 0.2, "poll_interval_seconds": 0.01, **options}
        config = TrainerConfig(name="a", run_dir=Path("/tmp/a"), swarm={"leader": leader}, **settings)
        self.telemetry = Telemetry()
        others = OtherPeers(ME, self.telemetry)
        self.publisher = Publisher(others, leads=leader)
        rows = StageRows(
            Task(Sums()),
            peer_id=ME,
            others=others,
            limits=Limits(),
            questions_per_step=1,
            steps_per_stage=config.steps_per_stage,
            is_chat=False,
            is_instructed=True,
        )
        self.trainer = SimpleNamespace(
            rows=rows, checkpoints=SimpleNamespace(progress=None, is_paused=False), take_earnings=self._earn
        )
        nothing = SimpleNamespace(
            begin_step=lambda: None, end_step=lambda: None, hold=lambda: None, release=lambda: None, is_requested=False
        )
        self.driver = driver.RoundDriver(
            config,
            peer_id=ME,
            trainer=self.trainer,
            publisher=self.publisher,
            telemetry=self.telemetry,
            stopper=nothing,
            others=others,
        )

    def start(self, progress: RoundProgress | None = None) -> None:
        self.driver.start(progress or RoundProgress())

    def step(self) -> None:
        self.driver.on_step_begin(None, STATE, CONTROL)
        self._row = self.trainer.rows.take(1)[0]["row"]
        self.driver.on_step_end(None, STATE, CONTROL)

    @property
    def at(self) -> RoundAndStage:
        return RoundAndStage(*self.trainer.rows.at)

    def _earn(self) -> Any:
        row = self._row
        return grpo.Earnings(1.0, row.question, row.answer, "6", row.prompt, row.others)


def test_a_stage_begins_at_once_where_others_outputs_are_read_already() -> None:
    run = Run()
    run.start()
    run.publisher.publishes(PEER, RoundAndStage(0, 0))
    run.driver.on_step_begin(None, STATE, CONTROL)
    # As the publishing thread does during the stage.
    run.publisher.others.refresh(run.publisher, run.publisher.read_round)
    run.step()

    run.step()

    assert (run.publisher.asked, run.telemetry.alone) == (0, 0)
    assert "waiting" not in run.telemetry.phases
    assert run._row.others == 1


def test_a_stage_waits_for_others_that_earn_and_then_goes_on_alone() -> None:
    run = Run()
    run.start()
    run.publisher.publishes(PEER, RoundAndStage(0, 0), answers=False)
    run.step()

    run.step()

    assert run.publisher.asked
    assert run.telemetry.alone == 1
    assert run.telemetry.phases[-2:] == ["waiting", "training"]
    assert run._row.others == 0


def test_nobody_is_waited_for_in_a_swarm_of_one() -> None:
    run = Run(others_timeout_seconds=600)
    run.start()
    for _ in range(6):
        run.step()

    assert run.telemetry.alone == 4
    assert run.at == (2, 0)


def test_rounds_of_one_stage_need_nobody() -> None:
    run = Run(stages_per_round=1)
    run.start()
    for _ in range(3):
        run.step()

    assert (run.telemetry.alone, run.publisher.asked, run.at) == (0, 0, (3, 0))


def test_a_follower_that_fell_behind_joins_the_current_round_and_counts_the_others() -> None:
    run = Run(leader=False)
    run.publisher.records["rl_swarm_rs"] = (3, 0)
    run.start()
    assert run.at == (3, 0)
    run.publisher.records["rl_swarm_rs"] = (9, 1)
    run.publisher.others.refresh(run.publisher, run.publisher.read_round)

    run.step()

    assert run.at == (9, 1)
    assert run.telemetry.skipped == 5


def test_a_leader_learns_in_the_midst_of_a_stage_how_far_another_led() -> None:
    run = Run(steps_per_stage=8)
    run.start(RoundProgress(Position(3, 0, 2, 2.0), finished_round=2))
    run.publisher.furthest = RoundAndStage(7, 1)

    run.step()

    assert run.at == (7, 1)
    assert run.publisher.put[-1] == {(3, 0): 3.0}
    assert run.publisher.records["rl_swarm_rs"] == (7, 1)
    assert run.telemetry.skipped == 3


def test_a_follower_that_is_a_round_behind_finishes_its_own() -> None:
    run = Run(leader=False)
    run.publisher.records["rl_swarm_rs"] = (3, 0)
    run.start()
    run.publisher.records["rl_swarm_rs"] = (4, 1)
    run.publisher.others.refresh(run.publisher, run.publisher.read_round)

    run.step()

    assert (run.at, run.telemetry.skipped) == ((3, 1), 0)


def test_the_winners_of_a_round_are_logged_once_the_next_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run = Run(stages_per_round=1)
    run.start()
    run.publisher.records["rl_swarm_rewards_0_0"] = {ANN: 2.0, PEER: 3.0}
    lines: list[int] = []
    for _ in range(3):
        run.step()
        lines.append(sum("event=round_won" in record.getMessage() for record in caplog.records))

    assert lines == [0, 1, 1]
    assert f"event=round_won round=0 peers=2 winners={PEER},{ANN}" in caplog.text


def test_a_resumed_run_does_not_count_twice() -> None:
    run = Run(steps_per_stage=4)
    run.start(RoundProgress(Position(2, 1, 3, 7.0), finished_round=1, earned=30.0))

    run.step()

    assert run.publisher.put[-1] == {(2, 1): 8.0}
    assert run.trainer.checkpoints.progress["earned"] == 31.0
    assert run.at == (2, 2)


def test_a_resumed_run_says_what_it_knows_of_and_publishes_that_once_it_knows_the_round(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    run = Run(leader=False)
    sums = {RoundAndStage(1, 2): StageSum(1, 6.0), RoundAndStage(2, 1): StageSum(1, 7.0)}
    run.start(RoundProgress(Position(2, 1, 1, 7.0), finished_round=1, sums=sums))
    assert "event=progress_resumed sums=1/2:6.0000,2/1:7.0000" in caplog.text
    assert run.publisher.put == []

    run.publisher.announce(RoundAndStage(2, 2), is_new=True)
    run.driver._wait_for_round()

    assert run.publisher.put == [{(1, 2): 6.0, (2, 1): 7.0}]


def test_a_swarm_that_nobody_announces_is_called_that(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run = Run(leader=False)
    run.start()
    run.publisher.is_swarm_lost = False

    class Stop(Exception):
        pass

    asked = [0]

    def ask() -> "Future[Any]":
        asked[0] += 1
        if asked[0] > 3:
            raise Stop
        return run.publisher._done(None)

    run.publisher.ask_round_and_stage = ask  # type: ignore[method-assign]
    with pytest.raises(Stop):
        run.step()

    assert "no source announces the swarm's round (nobody writes rl_swarm_rs)" in caplog.text


def test_a_leader_that_looks_for_its_swarm_says_so() -> None:
    run = Run(leader=False)
    run.start()
    run.publisher.looks_for_others = True

    assert "looking for the swarm's round, before this peer leads" in run.driver._why_waiting()
