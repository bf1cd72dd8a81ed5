"""Where leaders and followers are, and where they go next."""

import pytest

from trainer.protocol import RoundAndStage
from trainer.rounds import Plan, Position, RoundProgress, advance, follow, from_record, lead, to_record

PLAN = Plan(steps_per_stage=2, stages_per_round=3)
TWO_ROUNDS = Plan(steps_per_stage=1, stages_per_round=2, max_rounds=2)


def test_a_step_adds_its_reward_to_the_stages_sum() -> None:
    standing = advance(RoundProgress(Position(4, 1, 0, 0.5)), 1.25, PLAN, leader=False)

    assert standing.position == Position(4, 1, 1, 1.75)


def test_the_sum_starts_at_zero_in_each_stage() -> None:
    standing = advance(RoundProgress(Position(4, 1, 1, 7.0)), 1.0, PLAN, leader=False)

    assert standing.position == Position(4, 2, 0, 0.0)


def test_a_leader_goes_from_round_to_round() -> None:
    standing = advance(RoundProgress(Position(4, 2, 1, 7.0)), 1.0, PLAN, leader=True)

    assert standing == RoundProgress(Position(5, 0), finished_round=4)


def test_a_follower_waits_after_its_round() -> None:
    standing = advance(RoundProgress(Position(4, 2, 1, 7.0)), 1.0, PLAN, leader=False)

    assert standing == RoundProgress(None, finished_round=4)
    assert follow(standing, RoundAndStage(4, 2), PLAN).position is None
    assert follow(standing, RoundAndStage(5, 1), PLAN).position == Position(5, 1)


def test_a_follower_takes_no_stale_answer_for_a_new_swarm() -> None:
    standing = RoundProgress(None, finished_round=4)

    assert follow(standing, RoundAndStage(3, 0), PLAN).position is None
    assert follow(standing, RoundAndStage(0, 0), PLAN).position == Position(0, 0)


def test_a_follower_that_starts_again_goes_on_in_the_current_stage() -> None:
    remembered = RoundProgress(Position(4, 1, 1, 7.0), finished_round=3)

    assert follow(remembered, RoundAndStage(4, 1), PLAN) == remembered
    assert follow(remembered, RoundAndStage(4, 0), PLAN) == remembered
    assert follow(remembered, RoundAndStage(4, 2), PLAN).position == Position(4, 2)
    assert follow(remembered, RoundAndStage(9, 0), PLAN).position == Position(9, 0)
    assert follow(remembered, None, PLAN).position is None


@pytest.mark.parametrize(
    ("remembered", "swarm", "place"),
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
def test_a_leader_never_goes_back(remembered: RoundProgress, swarm: RoundAndStage | None, place: Position) -> None:
    assert lead(remembered, swarm, PLAN).position == place


@pytest.mark.parametrize("leader", [True, False])
def test_the_run_ends_after_the_last_round(leader: bool) -> None:
    standing = RoundProgress(Position(1, 0))

    standing = advance(standing, 1.0, TWO_ROUNDS, leader=leader)
    assert not standing.is_run_finished(TWO_ROUNDS)
    standing = advance(standing, 1.0, TWO_ROUNDS, leader=leader)

    assert standing.is_run_finished(TWO_ROUNDS)


def test_a_run_that_was_finished_stays_finished() -> None:
    finished = RoundProgress(None, finished_round=1)

    assert lead(finished, RoundAndStage(1, 1), TWO_ROUNDS).is_run_finished(TWO_ROUNDS)
    assert follow(RoundProgress(), RoundAndStage(2, 0), TWO_ROUNDS).is_run_finished(TWO_ROUNDS)


def test_a_kept_standing_is_read_back() -> None:
    standing = RoundProgress(Position(4, 1, 1, 7.25), finished_round=3)

    assert from_record(to_record(standing)) == standing
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
def test_a_record_of_another_form_counts_as_nothing_remembered(record: object) -> None:
    assert from_record(record) == RoundProgress()
