"""The board in SQLite: what was saved comes back, and errors name the file."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.leaderboard.board import Board
from exporter.leaderboard.position import Position
from exporter.leaderboard.records import Entry
from exporter.leaderboard.store import FORMAT, Store, StoreFailed
from trainer.protocol import RoundAndStage

A, B = ("Qm" + letter * 44 for letter in "ab")
PLACE = RoundAndStage(3, 1)


def filled() -> Board:
    board = Board()
    board.credit(PLACE, {A: Entry(2.5, 1000.0), B: Entry(1.25, 1001.0)}, 500.0)
    return board


def execute(path: Path, script: str) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(script)
    database.close()


def saved_peers(path: Path) -> set[str]:
    store = Store(path)
    store.close()
    return set(store.load()[0].peers)


def test_an_empty_database_is_an_empty_board(tmp_path: Path) -> None:
    store = Store(tmp_path / "folder" / "board.sqlite")
    board, position = store.load()
    store.close()
    assert (board.peers, position) == ({}, Position())


def test_board_and_position_come_back_as_they_were(tmp_path: Path) -> None:
    path, board = tmp_path / "board.sqlite", filled()
    board.close_before(RoundAndStage(4, 0))
    board.credit(RoundAndStage(4, 0), {A: Entry(4.0, 1002.0)}, 501.0)
    position = Position(RoundAndStage(4, 0), epoch=2, stages=4)
    store = Store(path)
    store.save(board, position)
    store.close()
    again = Store(path)
    loaded, at = again.load()
    again.close()
    assert loaded.peers == board.peers
    assert loaded.open_from == board.open_from
    assert at == position


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    store, board = Store(tmp_path / "board.sqlite"), filled()
    store.save(board, Position(PLACE))
    assert not board.dirty
    board.evict(1, ())
    store.save(board, Position(PLACE))
    store.close()
    assert saved_peers(tmp_path / "board.sqlite") == {A}


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "board.sqlite"
    database = sqlite3.connect(path)
    database.executescript(
        f"CREATE TABLE new (x); PRAGMA user_version = 9; PRAGMA application_id = {FORMAT.application_id(9)}"
    )
    database.close()
    with pytest.raises(StoreFailed, match=r"board\.sqlite: written by a newer version.*format 9.*move the file away"):
        Store(path)


DAMAGE = {
    "no database": None,
    "a version that is none": "PRAGMA user_version = 99",
    "not JSON": "UPDATE peers SET open = '{'",
    "stages of another kind": "UPDATE peers SET open = '[[1, \"x\", 2]]'",
    "a reward that is a text": "UPDATE peers SET settled = 'much'",
    "not a peer id": "UPDATE peers SET id = 'Qm' || id",
    "not UTF-8": "UPDATE peers SET open = CAST(x'ff' AS TEXT)",
    "no table": "DROP TABLE position",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_file_is_set_aside_and_a_new_board_begun(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, script = tmp_path / "board.sqlite", DAMAGE[what]
    store = Store(path)
    store.save(filled(), Position(PLACE))
    store.close()
    if script is None:
        path.write_bytes(b"not a database, but long enough to be checked" * 50)
    else:
        execute(path, script)
    again = Store(path)
    assert (again.load()[0].peers, again.set_aside_count) == ({}, 1)
    again.save(filled(), Position(PLACE))
    again.close()
    assert saved_peers(path) == {A, B}
    assert "is damaged" in caplog.text


@pytest.mark.parametrize("how", ["deleted", "damaged"])
def test_the_board_in_memory_is_written_again(tmp_path: Path, how: str) -> None:
    path, board = tmp_path / "board.sqlite", filled()
    store = Store(path)
    store.save(board, Position(PLACE))
    if how == "deleted":
        path.unlink()
    else:
        execute(path, "DROP TABLE peers")
        board.credit(PLACE, {A: Entry(3.5, 1002.0)}, 501.0)
    store.save(board, Position(PLACE))
    store.close()
    assert saved_peers(path) == {A, B}


def test_a_save_that_fails_is_done_by_the_next(tmp_path: Path) -> None:
    path, board = tmp_path / "board.sqlite", filled()
    store = Store(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreFailed, match="database is locked: another process uses it"):
        store.save(board, Position(PLACE))
    assert board.dirty == {A, B}
    other.execute("ROLLBACK")
    other.close()
    store.save(board, Position(PLACE))
    store.close()
    assert (saved_peers(path), store.set_aside_count) == ({A, B}, 0)


def test_the_file_does_not_grow_with_the_rounds(tmp_path: Path) -> None:
    store, board = Store(tmp_path / "board.sqlite"), Board()
    sizes = []
    for number in range(300):
        board.credit(RoundAndStage(number, 0), {A: Entry(1.0, 1000.0 + number), B: Entry(1.0, 1000.0 + number)}, 500.0)
        board.close_before(RoundAndStage(max(0, number - 1), 0))
        store.save(board, Position(RoundAndStage(number, 0)))
        sizes.append(store.size_bytes())
    store.close()
    assert (tmp_path / "board.sqlite").stat().st_size < 64 * 1024
    assert max(sizes) < 8 * 1024 * 1024


FLICKER = """
import os
import sys

print("begun", flush=True)
while True:
    open(sys.argv[1], "w").close()
    os.unlink(sys.argv[1])
"""


def test_a_file_that_is_deleted_meanwhile_has_no_size(tmp_path: Path) -> None:
    path = tmp_path / "board.sqlite"
    store = Store(path)
    store.close()
    size = path.stat().st_size
    command = [sys.executable, "-c", FLICKER, f"{path}-wal"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        try:
            assert {store.size_bytes() for _ in range(20_000)} == {size}
        finally:
            other.kill()
