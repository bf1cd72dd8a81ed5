"""The cumulative board: monotone, bounded, and each reward counted once."""

import time

from hypothesis import given
from hypothesis import strategies as st

from exporter.leaderboard.board import Board
from exporter.leaderboard.records import Entry
from trainer.protocol import EXPIRATION_SECONDS, RoundAndStage

NOW = 1_700_000_000.0
A, B, C = ("Qm" + letter * 44 for letter in "abc")
At = RoundAndStage


def entry(value: float, age: float = 0.0) -> Entry:
    """A record written `age` seconds before NOW."""
    return Entry(value, NOW - age + EXPIRATION_SECONDS)


def cumulative(board: Board, peer_id: str = A) -> float:
    return board.peers[peer_id].cumulative


def ranking(board: Board) -> list[str]:
    return [entry.peer_id for entry in board.ranking()]


def test_the_cumulative_reward_is_the_sum_of_the_highest_sums_of_the_stages() -> None:
    board = Board()
    for value in (1.0, 4.0, 2.0):
        board.credit(At(0, 0), {A: entry(value)}, NOW)
    board.credit(At(0, 1), {A: entry(3.0)}, NOW)
    assert cumulative(board) == 7.0


def test_a_negative_sum_takes_nothing_away() -> None:
    board = Board()
    board.credit(At(0, 0), {A: entry(4.0)}, NOW)
    board.credit(At(0, 1), {A: entry(-9.0)}, NOW)
    assert cumulative(board) == 4.0
    assert board.peers[A].stage_reward == -9.0


def test_a_peer_that_is_missing_from_a_read_keeps_what_it_has() -> None:
    board = Board()
    board.credit(At(0, 0), {A: entry(4.0), B: entry(5.0)}, NOW)
    board.credit(At(0, 0), {B: entry(6.0)}, NOW)
    board.credit(At(0, 0), {}, NOW)
    assert cumulative(board) == 4.0
    assert ranking(board) == [B, A]


def test_a_late_value_of_an_open_stage_counts_and_that_of_a_closed_one_does_not() -> None:
    board = Board()
    board.credit(At(0, 2), {A: entry(1.0)}, NOW)
    board.credit(At(1, 0), {A: entry(1.0)}, NOW)
    board.credit(At(0, 2), {A: entry(5.0)}, NOW)
    assert cumulative(board) == 6.0
    board.close_before(At(1, 0))
    board.credit(At(0, 2), {A: entry(50.0)}, NOW)
    assert cumulative(board) == 6.0


def test_a_month_of_rounds_leaves_one_number_and_the_open_stages() -> None:
    board = Board()
    for number in range(2000):
        for stage in range(3):
            board.credit(At(number, stage), {A: entry(1.0)}, NOW)
        board.close_before(At(max(0, number - 1), 0))
    assert cumulative(board) == 6000.0
    assert len(board.peers[A].open) <= 6


def test_equal_rewards_are_ordered_by_id_as_the_protocol_does() -> None:
    board = Board()
    board.credit(At(0, 0), {A: entry(1.0), C: entry(1.0), B: entry(1.0)}, NOW)
    assert ranking(board) == [C, B, A]
    assert [entry.rank for entry in board.ranking()] == [1, 2, 3]


def test_a_new_epoch_counts_new_rewards_and_no_old_record_again() -> None:
    board = Board()
    board.credit(At(0, 0), {A: entry(7.0, age=60)}, NOW)
    board.close_before(At(50, 0))
    board.begin_epoch(At(0, 0))
    board.credit(At(0, 0), {A: entry(7.0, age=60)}, NOW)
    assert cumulative(board) == 7.0
    board.credit(At(0, 0), {A: entry(2.0)}, NOW)
    assert cumulative(board) == 9.0


def test_the_stage_board_holds_the_newest_stage_only() -> None:
    board = Board()
    board.credit(At(0, 0), {A: entry(7.0), B: entry(3.0)}, NOW)
    board.credit(At(0, 1), {B: entry(1.0), C: entry(2.0)}, NOW)
    assert board.stage_scores() == [(2.0, C), (1.0, B)]


def test_the_stage_board_holds_the_announced_stage_and_whoever_is_ahead_of_it() -> None:
    board = Board()
    board.credit(At(0, 0), {A: entry(7.0), B: entry(3.0)}, NOW)
    board.credit(At(0, 1), {A: entry(1.0)}, NOW)

    assert board.stage_scores(At(0, 0)) == [(7.0, A), (3.0, B)]
    assert board.stage_scores(At(0, 1)) == [(1.0, A)]
    # Nobody has earned there yet.
    assert board.stage_scores(At(0, 2)) == [(1.0, A)]
    assert Board().stage_scores(At(0, 2)) == []


def test_last_seen_is_when_the_newest_record_was_written() -> None:
    board = Board()
    board.credit(At(0, 0), {A: entry(1.0, age=30), B: Entry(1.0, NOW + 80_000)}, NOW)
    assert board.peers[A].last_seen == NOW - 30
    assert board.peers[B].last_seen == NOW


def test_only_records_newer_than_the_known_ones_are_fresh() -> None:
    board = Board()
    board.credit(At(0, 0), {A: entry(1.0, age=30), B: entry(1.0)}, NOW)
    entries = {A: entry(1.0), B: entry(1.0)}
    assert board.count_fresh(entries, ()) == 1
    assert board.count_fresh(entries, {B}) == 0
    assert board.count_fresh(entries, {A, C}) == 1


def test_the_lowest_and_longest_unseen_are_evicted_and_ours_never() -> None:
    board = Board()
    board.credit(At(0, 0), {A: entry(0.0), B: entry(1.0, age=90), C: entry(1.0)}, NOW)
    board.evict(2, {A})
    assert set(board.peers) == {A, C}
    board.evict(1, {A, C})
    assert set(board.peers) == {A, C}


def test_peers_that_were_never_stored_leave_nothing_to_delete() -> None:
    board = Board()
    board.credit(At(0, 0), {A: entry(2.0), B: entry(1.0)}, NOW)
    board.saved()
    board.credit(At(0, 0), {C: entry(0.5)}, NOW)
    board.evict(1, ())
    assert board.gone == {B}
    assert board.dirty == set()


def test_twenty_thousand_fake_peers_cost_little_and_push_none_of_ours_off() -> None:
    board = Board()
    board.credit(At(0, 0), {A: entry(5.0)}, NOW)
    fakes = {f"Qm{i:044d}".replace("0", "z"): entry(1e6) for i in range(20_000)}
    started = time.process_time()
    for _ in range(3):
        board.credit(At(0, 0), fakes, NOW)
        board.evict(5000, {A})
        ranking = board.ranking()
    assert time.process_time() - started < 20
    assert len(board.peers) == 5000
    assert ranking[-1].peer_id == A


_ENTRIES = st.dictionaries(
    st.sampled_from([A, B, C]),
    st.builds(Entry, st.floats(-1e6, 1e6), st.floats(0, NOW + 86_400)),
)
_READS = st.tuples(st.builds(At, st.integers(0, 6), st.integers(0, 2)), _ENTRIES, st.sampled_from("cse"))


@given(st.lists(_READS, max_size=40))
def test_no_sequence_of_reads_lowers_a_cumulative_reward(reads: list[tuple[At, dict[str, Entry], str]]) -> None:
    board = Board()
    for place, entries, then in reads:
        before = {peer_id: peer.cumulative for peer_id, peer in board.peers.items()}
        board.credit(place, entries, NOW)
        if then == "s":
            board.close_before(place)
        if then == "e":
            board.begin_epoch(place)
        for peer_id, value in before.items():
            # Settling adds the same numbers in another order.
            assert board.peers[peer_id].cumulative >= value * (1 - 1e-9) - 1e-9


@given(st.lists(_ENTRIES, max_size=10), st.integers(0, 5))
def test_sample_the_same_again_changes_nothing(reads: list[dict[str, Entry]], number: int) -> None:
    board = Board()
    for entries in reads:
        board.credit(At(number, 0), entries, NOW)
    before = {peer_id: peer.cumulative for peer_id, peer in board.peers.items()}
    for entries in reads:
        board.credit(At(number, 0), entries, NOW)
    assert {peer_id: peer.cumulative for peer_id, peer in board.peers.items()} == before
