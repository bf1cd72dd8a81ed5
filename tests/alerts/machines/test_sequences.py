"""No push is taken twice: not at once, not after a restart, not from a full disk or by a clock that was set back."""

from pathlib import Path

import pytest

from alerts.machines.sequences import BLOCK, FILE, Sequences


def test_only_the_next_number_is_taken(tmp_path: Path) -> None:
    sequences = Sequences(tmp_path, lambda: 0.0)
    assert [sequences.take("rack-1", number) for number in (1, 1, 2, 5, 4, 5 + BLOCK, 6 + 2 * BLOCK, -1)] == [
        *(True, False, True, True, False, True, False, False)
    ]
    # Each machine has its own.
    assert sequences.take("rack-2", 1)


@pytest.mark.parametrize("wall", [0.0, 1_800_000_000.0], ids=["a clock that was set back", "a clock that is right"])
def test_what_was_taken_before_a_restart_is_not_taken_again(tmp_path: Path, wall: float) -> None:
    sequences = Sequences(tmp_path, lambda: wall)
    first = sequences.latest("rack-1") + 1
    taken = [number for number in range(first, first + 3 * BLOCK, 7) if sequences.take("rack-1", number)]
    again = Sequences(tmp_path, lambda: wall)
    assert not [number for number in taken if again.take("rack-1", number)]
    assert again.take("rack-1", again.latest("rack-1") + 1)


@pytest.mark.parametrize("damage", ["", "[]", '{"rack-1": "x"}', '{"rack-1": 1e999}', "[" * 9999])
def test_without_its_file_the_clock_tells(tmp_path: Path, damage: str) -> None:
    sequences = Sequences(tmp_path, lambda: 1000.0)
    number = sequences.latest("rack-1") + 1
    assert sequences.take("rack-1", number)
    (tmp_path / FILE).write_text(damage)
    again = Sequences(tmp_path, lambda: 1001.0)
    assert not again.take("rack-1", number)


def test_where_nothing_can_be_written_pushes_are_taken_all_the_same(tmp_path: Path) -> None:
    sequences = Sequences(tmp_path / "gone", lambda: 0.0)
    assert sequences.take("rack-1", 1)
    assert not sequences.take("rack-1", 1)


def test_the_file_is_written_seldom_and_for_its_owner(tmp_path: Path) -> None:
    sequences = Sequences(tmp_path, lambda: 0.0)
    assert sequences.take("rack-1", 1)
    before = (tmp_path / FILE).stat()
    assert before.st_mode & 0o077 == 0
    assert all(sequences.take("rack-1", number) for number in range(2, BLOCK))
    assert (tmp_path / FILE).stat().st_ino == before.st_ino
