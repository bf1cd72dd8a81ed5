"""What an error of SQLite says of a file, and what becomes of the file."""

import errno
import fcntl
import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from exporter.files.database import (
    Damaged,
    Format,
    Unavailable,
    connect,
    describe_error,
    explain,
    make_in_memory,
    set_aside,
)
from exporter.files.database_rows import copy_rows, find_difference
from tests.programs import small_disk

FORMAT = Format(
    kind=9,
    version=2,
    steps={
        0: "CREATE TABLE things (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, at REAL, data BLOB);",
        1: "ALTER TABLE things ADD COLUMN data BLOB;",
    },
    largest=1e6,
    kept=2,
)
ROOT = Path(__file__).parents[3]


def _error(code: int, text: str = "said so") -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "things.sqlite"
    db = connect(path, FORMAT)
    db.execute("INSERT INTO things (name, at) VALUES ('one', 1.5)")
    db.close()
    return path


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR_SHORT_READ])
def test_what_sqlite_calls_damage_is_damage(path: Path, code: int) -> None:
    assert isinstance(explain(_error(code), path), Damaged)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_BUSY])
def test_a_full_disk_and_another_process_are_no_damage(path: Path, code: int) -> None:
    fault = explain(_error(code), path)
    assert isinstance(fault, Unavailable)
    assert str(path) in str(fault)


def test_a_file_that_is_called_read_only_and_is_not_is_damaged(path: Path) -> None:
    """A damaged header makes SQLite say so."""
    assert isinstance(explain(_error(sqlite3.SQLITE_READONLY), path), Damaged)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (sqlite3.SQLITE_PROTOCOL, "locking protocol"),
        (sqlite3.SQLITE_IOERR_LOCK, "disk I/O error"),
        (sqlite3.SQLITE_BUSY, "database is locked"),
    ],
)
def test_what_sqlite_says_where_nothing_can_be_locked_is_recognized(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int, text: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    fault = explain(_error(code, text), path)
    assert isinstance(fault, Unavailable)
    assert not fault.is_disk
    assert "cannot be locked" in str(fault)


def test_an_error_that_says_nothing_of_the_file_is_left_open(path: Path) -> None:
    assert explain(_error(sqlite3.SQLITE_CONSTRAINT), path) is None
    assert explain(KeyError("x"), path) is None


def test_an_error_is_one_short_line_whatever_it_quotes() -> None:
    text = describe_error(UnicodeDecodeError("utf-8", b"\xff" * 500, 0, 1, "odd\nbyte"))
    assert text.startswith("UnicodeDecodeError: ")
    assert len(text) <= 200
    assert text.isprintable()


def test_an_older_file_is_taken_along(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(
        "CREATE TABLE things (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, at REAL);"
        "INSERT INTO things (name) VALUES ('old'); PRAGMA user_version = 1;"
    )
    db.close()
    db = connect(path, FORMAT)
    assert db.execute("SELECT name, data FROM things").fetchall() == [("old", None)]
    assert db.execute("PRAGMA application_id").fetchone()[0] == FORMAT.application_id(2)
    db.close()


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE things SET at = 2e6",
        "UPDATE things SET at = x'00'",
        "UPDATE things SET name = CAST(x'ff' AS TEXT)",
        "INSERT INTO things VALUES (9223372036854775807, 'last', 1, NULL)",
        "UPDATE sqlite_sequence SET seq = 9223372036854775807",
        "DROP TABLE things",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 3",
    ],
)
def test_a_value_that_a_column_never_held_is_damage(path: Path, script: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(script)
    db.close()
    with pytest.raises(Damaged):
        connect(path, FORMAT)


def test_damaged_files_are_kept_in_private_up_to_a_number(path: Path) -> None:
    before = os.umask(0o022)
    try:
        for second in range(5):
            path.write_text(f"damaged {second}")
            path.with_name("things.sqlite-wal").write_text("log")
            set_aside(path, FORMAT, now=second)
    finally:
        os.umask(before)
    kept = sorted(path.parent.glob("things.sqlite.damaged-*Z*"))
    assert [one.name for one in kept if "-wal" not in one.name][-1] == "things.sqlite.damaged-19700101T000004Z"
    assert len([one for one in kept if not one.name.endswith("-wal")]) == 2
    assert len(kept) == 4
    assert {one.stat().st_mode & 0o777 for one in kept} == {0o600}
    assert not path.exists()


def test_a_copy_has_every_row_and_gives_no_number_twice(path: Path) -> None:
    db, copy = connect(path, FORMAT), make_in_memory(FORMAT)
    db.execute("INSERT INTO things (name) VALUES ('two')")
    db.execute("DELETE FROM things WHERE name = 'two'")
    assert find_difference(db, copy) == "things"
    copy_rows(db, copy)
    assert find_difference(db, copy) == ""
    assert copy.execute("INSERT INTO things (name) VALUES ('three')").lastrowid == 3
    db.close()
    copy.close()


@pytest.mark.parametrize("end", ["killed", "closed"])
def test_what_is_on_a_read_only_disk_is_read_and_kept_in_memory(tmp_path: Path, end: str) -> None:
    """Alert states and the board. Only a process that is killed leaves a log beside each."""
    disk = tmp_path / "disk"
    disk.mkdir()
    code = textwrap.dedent(
        """
        import os, subprocess, sys
        from pathlib import Path
        from alerts.engine.evaluate import AlertStates, Key
        from alerts.engine.state import AlertState
        from alerts.store import Store
        from exporter.leaderboard.board import Board
        from exporter.leaderboard.position import Position
        from exporter.leaderboard.records import Entry
        from exporter.leaderboard.store import Store as BoardStore, StoreFailed
        from trainer.protocol import RoundAndStage
        folder, step = Path(sys.argv[1]), sys.argv[2]
        states = AlertStates({Key("PeerDown", "a"): AlertState("firing", "critical", 5.0, "gone")})
        board = Board()
        board.credit(RoundAndStage(1, 0), {"Qm" + "a" * 44: Entry(2.5, 1000.0)}, 500.0)
        alerts, saved = Store(folder / "alerts.sqlite"), BoardStore(folder / "board.sqlite")
        if step != "read":
            alerts.commit(AlertStates(), states, [], lambda: None)
            saved.save(board, Position(RoundAndStage(1, 0)))
            if step == "closed":
                alerts.close()
                saved.close()
            os._exit(0)
        print(alerts.load() == states, alerts.is_lost)
        alerts.commit(states, AlertStates(), [], lambda: None)
        print(alerts.load() == AlertStates({}, {}), alerts.problem)
        alerts.close()
        print(list(saved.load()[0].peers))
        try:
            saved.save(board, Position(RoundAndStage(1, 0)))
        except StoreFailed as error:
            print(error)
        """
    )
    script = 'python="$1"; "$python" -c "$2" "$3" "$4" && mount -o remount,ro none "$3" && "$python" -c "$2" "$3" read'
    command = [*small_disk("size=8m", disk), "sh", "-c", script, "sh", sys.executable, code, str(disk), end]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    lines = done.stdout.splitlines()
    obstacle = f"cannot write to {disk}: Read-only file system"
    assert lines == ["True False", f"True {obstacle}", f"['Qm{'a' * 44}']", obstacle], done.stderr
    assert "Traceback" not in done.stderr


def test_a_link_that_leads_nowhere_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.symlink_to(tmp_path / "gone" / "x.sqlite")
    aside = set_aside(path, FORMAT, now=1e9)
    assert aside.is_symlink()
    assert not path.is_symlink()


def test_a_pipe_in_the_place_of_a_file_is_damage(tmp_path: Path) -> None:
    """It was taken for a broken disk, and opened for reading, which waits for ever: hence a process of its own."""
    path = tmp_path / "x.sqlite"
    os.mkfifo(path)
    code = """
        import sys
        from pathlib import Path
        from exporter.files.database import Damaged, connect
        from tests.exporter.files.test_database import FORMAT
        try:
            connect(Path(sys.argv[1]), FORMAT)
        except Damaged as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "it is no file\n", done.stderr
