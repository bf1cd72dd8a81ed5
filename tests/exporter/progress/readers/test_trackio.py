"""Databases of trackio: older and newer tables, runs and projects, a writer beside, what is broken."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.progress.readers.trackio import TAIL_ROWS, Reader, default_folder, parse_metrics, parse_time, to_file_name
from exporter.progress.record import ReadError, Record

NEW = (
    "CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, timestamp TEXT NOT NULL,"
    " run_name TEXT NOT NULL, step INTEGER NOT NULL, metrics TEXT NOT NULL)"
)
OLD = (
    "CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT, run_name TEXT, step INTEGER,"
    " metrics TEXT)"
)
AT = "2026-11-28T09:00:00+00:00"


_opened: list[sqlite3.Connection] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Closes what a test opened."""
    yield
    while _opened:
        _opened.pop().close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection that stays open until the test ends."""
    connection = sqlite3.connect(path, isolation_level=None)
    _opened.append(connection)
    return connection


class Writer:
    """A database with one connection that stays open, as trackio's is while it writes."""

    def __init__(self, path: Path, schema: str = NEW, journal: str = "WAL") -> None:
        self.path = path
        self._has_id = "run_id" in schema
        self.connection = connect(path)
        self.connection.execute(f"PRAGMA journal_mode = {journal}")
        self.connection.execute(schema)

    def log(self, step: int, run: str = "a", /, **metrics: object) -> None:
        columns = {"timestamp": AT, "run_name": run, "step": step, "metrics": json.dumps(metrics or {"loss": 0.5})}
        if self._has_id:
            columns["run_id"] = f"id-{run}"
        names = ", ".join(columns)
        self.connection.execute(
            f"INSERT INTO metrics ({names}) VALUES ({', '.join('?' * len(columns))})", tuple(columns.values())
        )


def steps(records: object) -> list[int | None]:
    assert isinstance(records, list)
    return [record.step for record in records]


@pytest.mark.parametrize("schema", [NEW, OLD], ids=["with run_id", "without"])
@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_rows_are_read_once_while_they_are_written(tmp_path: Path, schema: str, journal: str) -> None:
    writer = Writer(tmp_path / "p.db", schema, journal)
    reader = Reader(tmp_path)
    assert steps(reader.read(0.0)) == []
    writer.log(1, reward=0.25, note="text", nothing=None, bad="NaN")
    (record,) = reader.read(1.0)
    assert record[1:3] == (1, 1795856400.0)
    assert record.values["reward"] == 0.25
    assert record.values.keys() == {"reward", "bad"}
    writer.log(2)
    assert steps(reader.read(2.0)) == [2]
    assert steps(reader.read(3.0)) == []
    writer.connection.close()
    connect(tmp_path / "p.db")
    assert steps(reader.read(4.0)) == []


def test_reading_neither_writes_nor_blocks(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "p.db")
    writer.log(1)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(before) == {"p.db", "p.db-wal", "p.db-shm"}
    assert steps(Reader(tmp_path).read(0.0)) == [1]
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    # In the middle of a transaction of the writer's: what was committed is read.
    writer.connection.execute("BEGIN IMMEDIATE")
    writer.log(2)
    reader = Reader(tmp_path)
    assert steps(reader.read(0.0)) == [1]
    writer.connection.execute("COMMIT")
    assert steps(reader.read(1.0)) == [2]
    writer.connection.close()
    assert [path.name for path in tmp_path.iterdir()] == ["p.db"]
    assert steps(Reader(tmp_path).read(0.0)) == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["p.db"]


def test_what_a_killed_writer_left_behind_is_read(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "p.db")
    writer.log(1)
    left = tmp_path / "left"
    shutil.copytree(tmp_path, left)
    assert steps(Reader(left).read(0.0)) == [1]
    assert {path.name for path in left.iterdir()} == {"p.db", "p.db-wal", "p.db-shm"}
    (left / "p.db-shm").unlink()
    with pytest.raises(ReadError, match=r"p\.db-wal is there without p\.db-shm"):
        Reader(left).read(0.0)


def test_an_empty_log_is_as_none(tmp_path: Path) -> None:
    """It is what a reader leaves that found the log just before the last writer deleted it."""
    writer = Writer(tmp_path / "p.db")
    writer.log(1)
    writer.connection.close()
    (tmp_path / "p.db-wal").touch()
    assert steps(Reader(tmp_path).read(0.0)) == [1]


_WRITER = """
import sqlite3
import sys

for step in range(300):
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("INSERT INTO metrics VALUES (NULL, 'id-a', '2026-11-28', 'a', ?, '{\\"loss\\": 1}')", (step,))
    connection.close()
"""


def test_a_writer_that_comes_and_goes_is_read_and_no_file_is_made(tmp_path: Path) -> None:
    """trackio closes its database after each report, and with it deletes the log."""
    path = tmp_path / "p.db"
    Writer(path).connection.close()
    reader, found, told = Reader(tmp_path), [], set()
    with subprocess.Popen([sys.executable, "-c", _WRITER, path]) as process:
        while process.poll() is None:
            try:
                found += steps(reader.read(0.0))
            except ReadError as error:
                told.add(str(error))
    assert process.returncode == 0
    found += steps(reader.read(0.0))
    assert found == list(range(300))
    passing = ("changed while it was read", "database is locked", "its log is not ready to be read: a writer is just")
    assert not [text for text in told if not text.startswith(tuple(f"{path}: {reason}" for reason in passing))]
    left = {one.name: one.stat().st_size for one in tmp_path.iterdir()}
    assert left.keys() == {"p.db"} or (left.keys() == {"p.db", "p.db-wal", "p.db-shm"} and left["p.db-wal"])


def test_a_database_that_is_locked_is_read_later(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "p.db", journal="DELETE")
    writer.log(1)
    reader = Reader(tmp_path)
    writer.connection.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ReadError, match="locked"):
        reader.read(0.0)
    writer.connection.execute("COMMIT")
    assert steps(reader.read(1.0)) == [1]


_OWNER = """
import sqlite3
import sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA locking_mode = EXCLUSIVE")
connection.execute("INSERT INTO metrics VALUES (NULL, 'id-a', '2026-11-28', 'a', 1, '{\\"loss\\": 1}')")
print("owned", flush=True)
sys.stdin.read()
"""


def test_a_database_that_one_process_keeps_to_itself_is_read_once_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    Writer(path).connection.close()
    reader = Reader(tmp_path)
    command = [sys.executable, "-c", _OWNER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "owned\n"
        with pytest.raises(ReadError, match=r"p\.db: database is locked$"):
            reader.read(0.0)
    assert steps(reader.read(1.0)) == [1]


def test_the_run_that_was_started_last_is_followed(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "p.db")
    writer.log(7, "first")
    writer.log(1, "second")
    reader = Reader(tmp_path)
    assert steps(reader.read(0.0)) == [1]
    writer.log(0, "third")
    assert steps(reader.read(1.0)) == [0]
    # Resumed after the third has been silent for long.
    writer.log(2, "second")
    assert steps(reader.read(1000.0)) == [2]


def test_runs_that_are_written_at_once_are_flagged_until_one_is_named(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "p.db")
    writer.log(1, "one")
    writer.log(1, "two")
    reader = Reader(tmp_path)
    reader.read(0.0)
    writer.log(2, "one")
    with pytest.raises(ReadError, match="two runs are written at once, 'id-one' and 'id-two'; name one with `run:`"):
        reader.read(1.0)
    for run in ("one", "id-one"):
        assert steps(Reader.configured({"path": "p.db", "run": run}, tmp_path).read(0.0)) == [1, 2]


def test_a_project_is_found_by_its_name(tmp_path: Path) -> None:
    for project in ("my.run", "other"):
        Writer(tmp_path / f"{to_file_name(project)}.db").log(1 if project == "my.run" else 2)
    os.utime(tmp_path / "myrun.db-wal", (1, 1))
    os.utime(tmp_path / "myrun.db", (1, 1))
    assert steps(Reader(tmp_path, "my.run").read(0.0)) == [1]
    assert steps(Reader(tmp_path).read(0.0)) == [2]
    with pytest.raises(ReadError, match=r"no trackio database third\.db yet"):
        Reader(tmp_path, "third").read(0.0)


def test_what_trackio_names_its_folder_by_names_it_here() -> None:
    assert default_folder({"TRACKIO_DIR": "/a", "HF_HOME": "/b"}) == Path("/a")
    assert default_folder({"HF_HOME": "/b"}) == Path("/b/trackio")
    assert default_folder({}) == Path.home() / ".cache/huggingface/trackio"


def test_of_many_rows_the_last_are_read(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "p.db")
    writer.connection.execute("BEGIN")
    for step in range(TAIL_ROWS + 1000):
        writer.log(step)
    writer.connection.execute("COMMIT")
    reader, found = Reader(tmp_path), []
    # A busy machine reads fewer within the time of a call.
    while len(found) < TAIL_ROWS and (more := steps(reader.read(0.0))):
        found += more
    assert found == list(range(1000, TAIL_ROWS + 1000))
    assert steps(reader.read(0.0)) == []


def test_large_rows_are_read_over_several_calls(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "p.db")
    for step in range(100):
        writer.log(step, loss=0.5, note="x" * 60_000)
    writer.log(100, loss=0.5, note="x" * 70_000)
    writer.log(101)
    reader = Reader(tmp_path)
    found: list[Record] = []
    for call in range(8):
        found += reader.read(float(call))
    assert steps(found) == [*range(100), 101]


@pytest.mark.parametrize("column", ["run_id", "timestamp", "run_name", "step", "metrics"])
@pytest.mark.parametrize("cell", ["'x' || hex(zeroblob(5000000))", "zeroblob(10000000)"])
def test_a_giant_cell_is_not_loaded_and_costs_its_row_only(tmp_path: Path, column: str, cell: str) -> None:
    writer = Writer(tmp_path / "p.db")
    for step in range(1, 4):
        writer.log(step)
    writer.connection.execute(f"UPDATE metrics SET {column} = {cell} WHERE step = 2")
    assert steps(Reader(tmp_path).read(0.0)) == [1, 3]


def test_a_column_that_the_schema_computes_is_not_read(tmp_path: Path) -> None:
    writer = connect(tmp_path / "p.db")
    writer.execute("CREATE TABLE metrics (run_name, metrics, step AS (length(hex(zeroblob(40000)))))")
    writer.execute("""INSERT INTO metrics VALUES ('a', '{"loss": 0.5}')""")
    assert steps(Reader(tmp_path).read(0.0)) == [None]


def test_tables_in_a_call_are_not_kept() -> None:
    assert parse_metrics('{"loss": 1, "table": {"a": [1]}, "list": [[]], "kl": null}') == {"loss": 1, "kl": None}
    assert len(parse_metrics(json.dumps({str(number): 1 for number in range(5000)}))) == 2000


def test_what_was_read_until_the_time_was_over_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path / "p.db")
    for step in range(3):
        writer.log(step)
    monkeypatch.setattr("exporter.progress.readers.trackio.MAX_SECONDS", 0.0)
    reader = Reader(tmp_path)
    assert [steps(reader.read(float(call))) for call in range(4)] == [[0], [1], [2], []]


def test_a_database_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    Writer(tmp_path / "p.db").log(5)
    reader = Reader(tmp_path)
    assert steps(reader.read(0.0)) == [5]
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    Writer(tmp_path / "p.db").log(1)
    assert steps(reader.read(1.0)) == [1]


def test_a_database_that_is_mirrored_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    writer, reader, found = Writer(tmp_path / "p.db"), Reader(tmp_path / "mirror"), []
    for step in range(4):
        writer.log(step)
        with closing(sqlite3.connect(tmp_path / "copied")) as copied:
            writer.connection.backup(copied)
        (tmp_path / "copied").replace(tmp_path / "mirror" / "p.db")
        found += steps(reader.read(0.0))
    assert found == [0, 1, 2, 3]


def test_rows_that_took_the_numbers_of_others_are_read(tmp_path: Path) -> None:
    """Neither the file nor the number of its last row tells that they are others."""
    writer, reader = Writer(tmp_path / "p.db"), Reader(tmp_path)
    for step in range(3):
        writer.log(step)
    assert steps(reader.read(0.0)) == [0, 1, 2]
    writer.connection.execute("DELETE FROM metrics")
    writer.connection.execute("DELETE FROM sqlite_sequence")
    for step in range(50, 55):
        writer.log(step)
    assert steps(reader.read(0.0)) == list(range(50, 55))


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM metrics WHERE step = 2", "UPDATE metrics SET run_name = 'b', run_id = 'id-b'"],
    ids=["deleted", "renamed"],
)
def test_a_run_that_is_deleted_or_renamed_has_nothing_read_twice(tmp_path: Path, change: str) -> None:
    writer, reader = Writer(tmp_path / "p.db"), Reader(tmp_path)
    for step in range(3):
        writer.log(step)
    assert steps(reader.read(0.0)) == [0, 1, 2]
    writer.connection.execute(change)
    writer.log(3, "b" if "UPDATE" in change else "a")
    assert steps(reader.read(0.0)) == [3]


def test_what_is_no_database_of_trackio_says_so(tmp_path: Path) -> None:
    connect(tmp_path / "p.db").execute("CREATE TABLE other (a)")
    with pytest.raises(ReadError, match="not of trackio: no table `metrics`"):
        Reader(tmp_path).read(0.0)
    (tmp_path / "p.db").write_bytes(b"text")
    with pytest.raises(ReadError, match="not an SQLite database"):
        Reader(tmp_path).read(0.0)
    (tmp_path / "p.db").unlink()
    os.mkfifo(tmp_path / "p.db")
    with pytest.raises(ReadError, match="no trackio database"):
        Reader(tmp_path).read(0.0)


def test_cells_of_any_type_are_tolerated(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "p.db", OLD)
    for cell in (None, 5, 1.5, b"\xff", "[1]", "{", '{"a": 1e999}', '{"a": {"b": 1}}', "[" * 5000):
        row = (cell, cell, cell, cell)
        writer.connection.execute("INSERT INTO metrics (timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?)", row)
    writer.connection.execute("UPDATE metrics SET run_name = 'a'")
    assert [dict(record.values) for record in Reader(tmp_path).read(0.0)] == [{"a": float("inf")}]


def test_a_view_is_no_table_of_trackio(tmp_path: Path) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS rowid,"
    view = f"CREATE VIEW metrics AS {numbers} 'a' AS run_name, i AS step, '{{}}' AS metrics FROM n"
    connect(tmp_path / "p.db").execute(view)
    with pytest.raises(ReadError, match="no table `metrics`"):
        Reader(tmp_path).read(0.0)


@given(st.integers(0, 12287), st.binary(min_size=1, max_size=64))
@settings(max_examples=60, deadline=None)
def test_a_broken_database_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: int, patch: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "broken.db"
    if not path.with_suffix(".whole").exists():
        writer = Writer(path)
        for step in range(20):
            writer.log(step)
        writer.connection.close()
        path.rename(path.with_suffix(".whole"))
    content = bytearray(path.with_suffix(".whole").read_bytes())
    content[place : place + len(patch)] = patch
    path.write_bytes(content)
    with contextlib.suppress(ReadError):
        assert len(Reader(path).read(0.0)) <= 20


def test_a_damaged_schema_is_no_traceback(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "p.db")
    writer.connection.close()
    content = (tmp_path / "p.db").read_bytes()
    (tmp_path / "p.db").write_bytes(content.replace(b"CREATE TABLE metrics", b"CREATE \xff\xfe\xfd\xfc metrics"))
    with pytest.raises(ReadError, match=r"p\.db: "):
        Reader(tmp_path).read(0.0)


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_text_is_a_date_or_none_and_metrics_or_none(text: str) -> None:
    assert parse_time(text) is None or isinstance(parse_time(text), float)
    assert isinstance(parse_metrics(text), dict)
