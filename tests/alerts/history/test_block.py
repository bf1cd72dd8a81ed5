"""Blocks hold what was put in, in few bytes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.history.block import decode, encode

NUMBERS = st.floats(-(2.0**40), 2.0**40).map(lambda value: round(value, 3)) | st.none()


@given(st.lists(st.tuples(st.floats(0, 4e9), NUMBERS, NUMBERS), min_size=1, max_size=300))
def test_a_block_gives_back_what_was_put_in(rows: list[tuple[float, float | None, float | None]]) -> None:
    columns = {7: [row[1] for row in rows], 65_000: [row[2] for row in rows]}
    block = decode(encode([row[0] for row in rows], columns, lambda _: 3))
    assert block.times == pytest.approx([row[0] for row in rows], abs=0.0005)
    for number, column in columns.items():
        assert [value is None for value in block.columns[number]] == [value is None for value in column]
        known = [value for value in column if value is not None]
        assert [value for value in block.columns[number] if value is not None] == pytest.approx(known, abs=0.0006)


def test_a_number_too_large_for_its_decimals_is_kept_as_it_is() -> None:
    column = [1e300, None, -3.25, 2.0**60]
    assert decode(encode([1.0, 2.0, 3.0, 4.0], {1: column}, lambda _: 6)).columns[1] == column


def test_only_the_columns_that_are_wanted_are_unpacked() -> None:
    data = encode([1.0, 2.0], {1: [1.0, 2.0], 2: [3.0, None]}, lambda _: 0)
    assert decode(data, {2}).columns == {2: [3.0, None]}


def test_what_does_not_change_costs_next_to_nothing() -> None:
    times = [1.75e9 + 15 * row for row in range(240)]
    still = {number: [4.0 * 2**30 + number] * 240 for number in range(30)}
    assert len(encode(times, still, lambda _: 0)) < 400
    moving = {1: [random.Random(row).random() for row in range(240)]}
    assert len(encode(times, still | moving, lambda _: 3)) < 1000


@pytest.mark.parametrize("data", [b"", b"garbage", encode([1.0], {}, lambda _: 0)[:-3]])
def test_bytes_that_are_no_block_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a block"):
        decode(data)
