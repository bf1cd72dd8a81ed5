"""The round progress of leaders and followers."""

import json
from dataclasses import replace

import pytest

from trainer.protocol import RoundAndStage
from trainer.rounds import (
    KEPT_ROUNDS,
    Plan,
    Position,
    RoundProgress,
    StageSum,
    advance,
    follow,
    from_record,
    further,
    keep_up,
    lead,
    to_record,
)

PLAN = Plan(steps_per_stage=2, stages_per_round=3)
TWO_ROUNDS = Plan(steps_per_stage=1, stages_per_round=2, max_rounds=2)


def test_a_step_adds_its_reward_to_the_stages_sum() -> None:
    progress = advance(RoundProgress(Position(4, 1, 0, 0.5)), 1.25, PLAN, leader=False)

    assert progress.position == Position(4, 1, 1, 1.75)


def test_the_sum_starts_at_zero_in_each_stage() -> None:
    progress = advance(RoundProgress(Position(4, 1, 1, 7.0)), 1.0, PLAN, leader=False)

    assert progress.position == Position(4, 2, 0, 0.0)


def test_a_leader_goes_from_round_to_round() -> None:
    progress = advance(RoundProgress(Position(4, 2, 1, 7.0)), 1.0, PLAN, leader=True)

    assert progress == RoundProgress(Position(5, 0), finished_round=4)


def test_a_follower_waits_after_its_round() -> None:
    progress = advance(RoundProgress(Position(4, 2, 1, 7.0)), 1.0, PLAN, leader=False)

    assert progress == RoundProgress(None, finished_round=4)
    assert follow(progress, RoundAndStage(4, 2), PLAN).position is None
    assert follow(progress, RoundAndStage(5, 1), PLAN).position == Position(5, 1)


def test_a_follower_does_not_take_a_stale_record_for_a_new_swarm() -> None:
    progress = RoundProgress(None, finished_round=4)

    assert follow(progress, RoundAndStage(3, 0), PLAN).position is None
    assert follow(progress, RoundAndStage(0, 0), PLAN).position == Position(0, 0)


def test_a_restarted_follower_continues_in_the_current_stage() -> None:
    saved = RoundProgress(Position(4, 1, 1, 7.0), finished_round=3)

    assert follow(saved, RoundAndStage(4, 1), PLAN) == saved
    assert follow(saved, RoundAndStage(4, 0), PLAN) == saved
    assert follow(saved, RoundAndStage(4, 2), PLAN).position == Position(4, 2)
    assert follow(saved, RoundAndStage(9, 0), PLAN).position == Position(9, 0)
    assert follow(saved, None, PLAN).position is None


@pytest.mark.parametrize(
    ("saved", "swarm", "position"),
    [
        (RoundProgress(), None, Position(0, 0)),
        (RoundProgress(), RoundAndStage(6, 2), Position(6, 2)),
        (RoundProgress(Position(4, 1, 1, 7.0), 3), RoundAndStage(4, 1), Position(4, 1, 1, 7.0)),
        (RoundProgress(Position(4, 1, 1, 7.0), 3), RoundAndStage(4, 2), Position(4, 2)),
        (RoundProgress(Position(4, 1, 1, 7.0), 3), RoundAndStage(2, 0), Position(4, 1, 1, 7.0)),
        (RoundProgress(None, 3), None, Position(4, 0)),
        (RoundProgress(), RoundAndStage(6, 7), Position(6, 2)),
    ],
)
def test_a_leader_never_goes_back(saved: RoundProgress, swarm: RoundAndStage | None, position: Position) -> None:
    assert lead(saved, swarm, PLAN).position == position


@pytest.mark.parametrize("leader", [True, False])
def test_the_run_ends_after_the_last_round(leader: bool) -> None:
    progress = RoundProgress(Position(1, 0))

    progress = advance(progress, 1.0, TWO_ROUNDS, leader=leader)
    assert not progress.is_run_finished(TWO_ROUNDS)
    progress = advance(progress, 1.0, TWO_ROUNDS, leader=leader)

    assert progress.is_run_finished(TWO_ROUNDS)


def test_a_run_that_was_finished_stays_finished() -> None:
    finished = RoundProgress(None, finished_round=1)

    assert lead(finished, RoundAndStage(1, 1), TWO_ROUNDS).is_run_finished(TWO_ROUNDS)
    assert follow(RoundProgress(), RoundAndStage(2, 0), TWO_ROUNDS).is_run_finished(TWO_ROUNDS)


def test_saved_progress_is_read_back() -> None:
    progress = RoundProgress(Position(4, 1, 1, 7.25), finished_round=3)

    assert from_record(to_record(progress)) == progress
    assert from_record(to_record(RoundProgress())) == RoundProgress()


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {"finished_round": "3"},
        {"finished_round": True},
        {"position": {"round": -1, "stage": 0, "steps": 0, "reward": 0}},
        {"position": {"round": 1, "stage": 0, "steps": 0, "reward": float("nan")}},
        {"position": {"round": 1, "stage": 0, "steps": 1.5, "reward": 0}},
        {"position": 7},
    ],
)
def test_an_invalid_record_counts_as_no_progress(record: object) -> None:
    assert from_record(record) == RoundProgress()


def played(rounds: int) -> RoundProgress:
    """A leader's progress that earned 1 in each step of so many rounds."""
    progress = RoundProgress(Position(0, 0))
    for _ in range(rounds * PLAN.stages_per_round * PLAN.steps_per_stage):
        progress = advance(progress, 1.0, PLAN, leader=True)
    return progress


def test_the_sums_of_the_last_rounds_are_kept_and_come_back() -> None:
    progress = played(KEPT_ROUNDS + 3)
    last = KEPT_ROUNDS + 2

    assert set(progress.sums.values()) == {StageSum(2, 2.0)}
    assert min(progress.sums) == RoundAndStage(last - KEPT_ROUNDS, 0)
    assert progress.newest == RoundAndStage(last, 2)
    assert from_record(json.loads(json.dumps(to_record(progress)))).sums == progress.sums
    assert from_record({"sums": [[1, 0, 2], [1, 0, -1, 2.0], [1, 0, 2, "much"], 7, [1, 0, 2, 3.5]]}).sums == {
        RoundAndStage(1, 0): StageSum(2, 3.5)
    }


def test_a_peer_that_lost_sight_of_the_swarm_goes_on_where_it_was() -> None:
    saved = advance(RoundProgress(Position(4, 1)), 7.0, PLAN, leader=False)
    waiting = follow(saved, None, PLAN)

    assert waiting.position is None
    assert follow(waiting, RoundAndStage(4, 0), PLAN).position == Position(4, 0)
    assert follow(waiting, RoundAndStage(4, 1), PLAN).position == Position(4, 1, 1, 7.0)
    assert lead(waiting, RoundAndStage(4, 1), PLAN).position == Position(4, 1, 1, 7.0)
    assert further(waiting, RoundProgress(Position(4, 1), sums={})) is waiting
    whole = follow(advance(saved, 1.0, PLAN, leader=False), None, PLAN)
    assert follow(whole, RoundAndStage(4, 1), PLAN).position == Position(4, 2)


def test_a_stage_that_comes_again_goes_on_where_the_peer_left_it() -> None:
    saved = played(4)
    assert lead(replace(saved, position=None, finished_round=2), None, PLAN).position == Position(4, 0)
    back = follow(advance(saved, 5.0, PLAN, leader=True), RoundAndStage(3, 1), PLAN)
    assert (back.position, back.finished_round) == (None, 3)
    assert follow(back, RoundAndStage(4, 0), PLAN).position == Position(4, 0, 1, 5.0)


def test_a_restarted_swarm_knows_nothing_of_the_earlier_sums() -> None:
    progress = played(4)

    assert follow(progress, RoundAndStage(3, 1), PLAN).sums == progress.sums
    assert follow(progress, RoundAndStage(1, 0), PLAN).sums == {}


def test_a_leader_goes_on_in_the_round_to_which_another_led() -> None:
    behind = RoundProgress(Position(4, 1, 1, 7.0), finished_round=3, sums={RoundAndStage(4, 1): StageSum(1, 7.0)})

    assert keep_up(behind, RoundAndStage(6, 2), PLAN) == RoundProgress(Position(6, 2), finished_round=3)
    assert keep_up(behind, RoundAndStage(6, 2), PLAN).sums == behind.sums
    for known in (None, RoundAndStage(4, 2), RoundAndStage(3, 0)):
        assert keep_up(behind, known, PLAN) is behind


def test_a_leader_without_a_position_goes_on_where_it_earned_last() -> None:
    sums = {RoundAndStage(7, 1): StageSum(1, 2.0)}
    joined_late = RoundProgress(None, finished_round=None, sums=sums)

    assert lead(joined_late, None, PLAN).position == Position(7, 1, 1, 2.0)
    assert lead(replace(joined_late, finished_round=6), RoundAndStage(7, 0), PLAN).position == Position(7, 1, 1, 2.0)
    assert lead(replace(joined_late, finished_round=8), None, PLAN).position == Position(9, 0)
    whole = replace(joined_late, sums={RoundAndStage(7, 2): StageSum(2, 2.0)})
    assert lead(whole, None, PLAN).position == Position(8, 0)
