"""Where the swarm is, despite false claims."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from exporter.leaderboard.position import (
    MAX_PLACES,
    NEAR_ROUNDS,
    POLLS_TO_MOVE,
    Evidence,
    Position,
    follow,
    places_to_read,
)
from trainer.protocol import MAX_ROUND, MAX_STAGE, RoundAndStage

At = RoundAndStage
OURS = Evidence(rewards=True, voters=1)
STRANGERS = Evidence(rewards=True, voters=0)


def at(number: int, stage: int, **more: int) -> Position:
    return dataclasses.replace(Position(At(number, stage)), **more)


def after(position: Position, announced: At | None, *polls: dict[At, Evidence], empty: bool = False) -> Position:
    for found in polls:
        position = follow(position, announced, found, is_board_empty=empty)
    return position


def test_the_first_announcement_is_believed() -> None:
    assert after(Position(), At(57, 2), {}, empty=True).frontier == At(57, 2)


def test_without_an_announcement_the_newest_rewards_decide() -> None:
    assert after(Position(), None, {At(0, 0): STRANGERS, At(0, 1): STRANGERS}, empty=True).frontier == At(0, 1)
    assert after(Position(), None, {}, empty=True).frontier is None


def test_a_swarm_that_goes_on_is_followed_at_once() -> None:
    assert after(at(5, 2), At(6, 0), {At(5, 2): OURS, At(6, 0): STRANGERS}).frontier == At(6, 0)


def test_a_missing_announcement_is_replaced_by_reading_ahead() -> None:
    assert At(6, 0) in places_to_read(at(5, 2), None)
    assert after(at(5, 2), None, {At(6, 0): STRANGERS}).frontier == At(6, 0)


def test_an_announcement_without_rewards_moves_nothing() -> None:
    assert after(at(5, 2), At(6, 0), {At(5, 2): OURS}).frontier == At(5, 2)


def test_strangers_cannot_walk_ahead_of_the_announcement() -> None:
    assert after(at(5, 2), At(5, 2), {At(6, 0): STRANGERS}).frontier == At(5, 2)
    assert after(at(5, 2), At(5, 2), {At(6, 0): OURS}).frontier == At(6, 0)


def test_a_huge_round_with_the_rewards_of_strangers_is_never_followed() -> None:
    huge = At(MAX_ROUND, 0)
    position = after(at(5, 2), huge, *[{huge: STRANGERS}] * 50)
    assert position.frontier == At(5, 2)
    assert position.reported(huge) == At(5, 2)


def test_a_huge_round_does_not_move_a_swarm_that_still_writes() -> None:
    huge = At(MAX_ROUND, 0)
    assert after(at(5, 2), huge, *[{At(5, 2): OURS, huge: OURS}] * 50).frontier == At(5, 2)


def test_a_swarm_that_restarted_is_a_new_epoch_after_some_polls() -> None:
    fresh = {At(0, 0): OURS}
    almost = after(at(57, 2), At(0, 0), *[fresh] * (POLLS_TO_MOVE - 1))
    assert (almost.frontier, almost.epoch) == (At(57, 2), 0)
    moved = after(almost, At(0, 0), fresh)
    assert (moved.frontier, moved.epoch) == (At(0, 0), 1)


def test_polls_without_writes_do_not_delay_a_restart() -> None:
    fresh: dict[At, Evidence] = {At(0, 0): OURS}
    assert after(at(57, 2), At(0, 0), fresh, {}, fresh, {}, fresh).epoch == 1


def test_a_write_at_the_old_place_starts_the_count_again() -> None:
    fresh, old = {At(0, 0): OURS}, {At(57, 2): OURS}
    assert after(at(57, 2), At(0, 0), fresh, fresh, old, fresh, fresh).epoch == 0


def test_a_far_jump_ahead_is_followed_in_the_same_epoch() -> None:
    far = At(5 + NEAR_ROUNDS + 80, 0)
    moved = after(at(5, 2), far, *[{far: OURS}] * POLLS_TO_MOVE)
    assert (moved.frontier, moved.epoch) == (far, 0)


def test_a_false_move_is_undone_while_the_announcement_still_lies() -> None:
    huge = At(MAX_ROUND, 0)
    fooled = after(at(5, 2), huge, *[{huge: OURS}] * POLLS_TO_MOVE)
    assert fooled.frontier == huge
    assert At(5, 2) in places_to_read(fooled, huge)
    back = after(fooled, huge, *[{At(6, 0): Evidence(True, 3), huge: OURS}] * POLLS_TO_MOVE)
    assert back.frontier == At(6, 0)


def test_a_stage_left_behind_within_the_open_rounds_is_no_restart() -> None:
    """The leader died at (5, 1) and its announcement stays; the others finished (5, 2) and wait."""
    position = after(at(5, 2), At(5, 1), *[{At(5, 1): OURS}] * 20)
    assert (position.frontier, position.epoch) == (At(5, 2), 0)
    assert position.reported(At(5, 1)) == At(5, 1)


def test_rounds_with_more_stages_are_learnt() -> None:
    position = after(at(5, 2), At(5, 3), {At(5, 3): OURS})
    assert position.stages == 4
    assert At(6, 3) in places_to_read(position, At(6, 3))


def test_a_swarm_some_rounds_ahead_loses_no_stage_in_between() -> None:
    places = places_to_read(at(5, 2), At(9, 1))
    assert {At(number, stage) for number in range(5, 9) for stage in range(3)} <= set(places)


_PLACES = st.builds(
    At,
    st.integers(0, 80) | st.sampled_from([MAX_ROUND, MAX_ROUND - 1, 10**6]),
    st.integers(0, 4) | st.just(MAX_STAGE),
)
_EVIDENCE = st.builds(Evidence, st.just(True), st.integers(0, 3))


@given(
    st.lists(
        st.tuples(st.none() | _PLACES, st.dictionaries(_PLACES, _EVIDENCE, max_size=5), st.booleans()), max_size=25
    )
)
def test_whatever_is_claimed_the_places_to_read_stay_few(
    polls: list[tuple[At | None, dict[At, Evidence], bool]],
) -> None:
    position = Position()
    for announced, found, empty in polls:
        position = follow(position, announced, found, is_board_empty=empty)
        places = places_to_read(position, announced)
        assert len(places) <= MAX_PLACES + 80
        assert position.frontier is None or position.frontier in places


@given(st.lists(st.tuples(st.none() | _PLACES, st.dictionaries(_PLACES, _EVIDENCE, max_size=5)), max_size=25), _PLACES)
def test_after_any_past_an_honest_swarm_is_found_again(
    past: list[tuple[At | None, dict[At, Evidence]]], true: At
) -> None:
    position = Position()
    for announced, found in past:
        position = follow(position, announced, found, is_board_empty=False)
    for _ in range(POLLS_TO_MOVE + 1):
        position = follow(position, true, {true: OURS}, is_board_empty=False)
    assert position.frontier is not None
    assert true in places_to_read(position, true)
    assert position.reported(true) == true
