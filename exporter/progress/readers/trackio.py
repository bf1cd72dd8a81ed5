"""A project's database of trackio (SQLite), read while a trainer writes it: nothing is written, nobody has to wait."""

import fcntl
import json
import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, ClassVar, NamedTuple, Self

from exporter.progress._growing_files import FileFinder
from exporter.progress._tracked_runs import MAX_NAME, MAX_VALUES, Calls, NewestRun, to_step
from exporter.progress.options import Options
from exporter.progress.record import ReadError, Record

# What is read in one call; of a run that has written more, only the end is of interest.
TAIL_ROWS = 5000
MAX_BYTES = 1 << 20
MAX_ROW_BYTES = 1 << 16
MAX_SECONDS = 0.5
_BUSY_SECONDS = 0.2
_MAX_RUNS = 1000

_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"
# https://www.sqlite.org/fileformat.html#the_lock_byte_page: what each reader of a database locks of it, shared.
_SHARED_FIRST, _SHARED_BYTES = 0x40000002, 510
# Versions before 0.24 know a run by its name only.
_RUN_COLUMNS = ("run_id", "run_name")


class Reader:
    """Follows one run of a project: the one named, or the one that was started last."""

    is_live: ClassVar[bool] = True

    def __init__(self, path: Path, project: str | None = None, run: str | None = None) -> None:
        self._finder = FileFinder(path, lambda name: name.endswith((".db", ".db-wal")), "trackio database (….db)")
        self._file_name = f"{to_file_name(project)}.db" if project else None
        self._wanted = run
        self._following: Path | None = None
        self._start()

    def _start(self) -> None:
        self._reached: _Reached | None = None
        self._run: str | None = None
        self._written: dict[str, float] = {}
        self._newest = NewestRun("name one with `run:`")
        self._calls = Calls()

    @classmethod
    def configured(cls, options: Mapping[str, Any], folder: Path) -> Self:
        """Options: `path`, a database or a folder of them, by default trackio's own; `project`; `run`, a name or an id.

        Raises ValueError.
        """
        given = Options(options, ("path", "project", "run"))
        here = given.path("path", folder, example="~/.cache/huggingface/trackio") if given.text("path") else None
        return cls(here or default_folder(os.environ), given.text("project"), given.text("run"))

    def read(self, now: float) -> Sequence[Record]:
        """What was written since the last call, at most the last `TAIL_ROWS` calls of `log`. Raises ReadError."""
        path = self._choose(self._finder.find(now))
        try:
            if path != self._following:
                self._start()
                self._following = path
            return self._take(_read_rows(path, self._reached), now)
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            raise ReadError(f"{path}: {_explain(error)}") from error

    def _choose(self, written: Mapping[Path, float]) -> Path:
        found = sorted(written, key=lambda path: written[path], reverse=True)
        databases = [path.with_name(path.name.removesuffix("-wal")) for path in found]
        if self._file_name is not None:
            databases = [path for path in databases if path.name == self._file_name]
            if not databases:
                raise ReadError(f"no trackio database {self._file_name} yet")
        return databases[0]

    def _take(self, read: "_Read", now: float) -> list[Record]:
        if read.is_other:
            self._start()
        self._reached = read.reached
        rows = [row for row in read.rows if self._wanted in (None, row.run, row.name)]
        for row in rows:
            # At the end, where the run that was written last is.
            self._written.pop(row.run, None)
            self._written[row.run] = row.number
        self._written = dict(list(self._written.items())[-_MAX_RUNS:])
        last = next(reversed(self._written), None)
        run = self._newest.choose(self._written, now) if self._wanted is None else last
        if run != self._run:
            self._run, self._calls = run, Calls()
        records = (
            self._calls.to_record(row.reported, counted=to_step(row.step), at=row.at) for row in rows if row.run == run
        )
        return [record for record in records if record is not None]


class _Row(NamedTuple):
    number: int
    run: str
    name: str
    step: int | None
    at: float | None
    reported: Mapping[str, object]


class _Reached(NamedTuple):
    """The number of the last row looked at, and what it held: by that a database is known again.

    A mirrored one is another file after each copy, and one that was made anew may have the same inode.
    """

    number: int
    content: tuple[Any, ...] | None


class _Read(NamedTuple):
    """Rows in the order in which they were written; `is_other` if the database is another one than before."""

    reached: _Reached
    rows: list[_Row]
    is_other: bool


def to_file_name(project: str) -> str:
    """The name of a project's database, without its ending: letters and digits, dashes and underlines."""
    return "".join(letter for letter in project if letter.isalnum() or letter in "-_").rstrip() or "default"


def default_folder(environment: Mapping[str, str]) -> Path:
    """Where trackio keeps its databases, with this environment."""
    if environment.get("TRACKIO_DIR"):
        return Path(environment["TRACKIO_DIR"])
    cache = Path(environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home()) / ".cache")
    return Path(environment.get("HF_HOME") or cache / "huggingface") / "trackio"


def _read_rows(path: Path, reached: _Reached | None) -> _Read:
    """Raises OSError, sqlite3.Error, ReadError."""
    before = _state_of(path)
    try:
        with _open(path) as file:
            is_at_rest = _is_at_rest(path, file)
            # Closed before the file is, as that ends all locks that this process has on it.
            with closing(_connect(path, is_at_rest=is_at_rest)) as connection:
                read = _query(connection, path, reached)
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        if _state_of(path) != before:
            raise ReadError(f"{path}: changed while it was read") from None
        raise
    if is_at_rest and _state_of(path) != before:
        raise ReadError(f"{path}: changed while it was read")
    return read


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ReadError(f"{path}: not a plain file")
        yield file


def _connect(path: Path, *, is_at_rest: bool) -> sqlite3.Connection:
    """Read-only, without a file of our own beside the database, even where its writer is another user.

    A database in WAL mode whose last writer has closed it has no other file: it is read as it stands, without locks.
    """
    how = "immutable=1" if is_at_rest else "readonly_shm=1"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&{how}", uri=True, timeout=_BUSY_SECONDS)
    deadline = time.monotonic() + MAX_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    # No larger row or cell is made, or even loaded.
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ROW_BYTES)
    connection.text_factory = lambda text: text.decode(errors="replace")
    for pragma in ("query_only = 1", "trusted_schema = 0", "cache_size = -2000", "mmap_size = 0", "temp_store = 2"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _is_at_rest(path: Path, file: IO[bytes]) -> bool:
    """Whether all that was written is in the database itself; until `file` is closed, nobody deletes its log."""
    header = file.read(_HEADER_BYTES)
    if header and not header.startswith(_MAGIC):
        raise ReadError(f"{path}: not an SQLite database")
    # https://www.sqlite.org/fileformat.html: the file format read version is 2 in WAL mode.
    if len(header) < _HEADER_BYTES or header[19] != 2:
        return False
    _keep_log(path, file)
    log, index = (path.with_name(f"{path.name}{ending}") for ending in ("-wal", "-shm"))
    has_log = _has_content(log)
    if has_log and not index.exists():
        raise ReadError(f"{path}: {log.name} is there without {index.name}: copy all three files, or none of the two")
    return not has_log


def _keep_log(path: Path, file: IO[bytes]) -> None:
    """The last one who closes a database deletes its log, unless others share it; SQLite would make an empty one."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, _SHARED_BYTES, _SHARED_FIRST)
        except (BlockingIOError, PermissionError):
            if time.monotonic() > deadline:
                raise ReadError(f"{path}: database is locked") from None
            time.sleep(0.01)
        except OSError:
            return  # A disk without locks.
        else:
            return


def _has_content(log: Path) -> bool:
    try:
        return log.stat().st_size > 0
    except FileNotFoundError:
        return False


def _state_of(path: Path) -> tuple[int, int, int, bool]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, _has_content(path.with_name(f"{path.name}-wal"))


def _query(connection: sqlite3.Connection, path: Path, reached: _Reached | None) -> _Read:
    deadline = time.monotonic() + MAX_SECONDS
    columns = {str(row[1]) for row in connection.execute("PRAGMA table_info(metrics)")}
    run = next((name for name in _RUN_COLUMNS if name in columns), None)
    is_table = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'metrics' AND type = 'table'")
    if run is None or "metrics" not in columns or not is_table.fetchone()[0]:
        raise ReadError(f"{path}: not of trackio: no table `metrics` with the columns run_name and metrics")
    name = "run_name" if "run_name" in columns else run
    step = "step" if "step" in columns else "NULL"
    at = "timestamp" if "timestamp" in columns else "NULL"
    last = connection.execute("SELECT max(rowid) FROM metrics").fetchone()[0] or 0
    query = f"SELECT {run}, {name}, {step}, {at}, metrics FROM metrics WHERE rowid = ?"
    is_other = reached is not None and _is_other(connection, query, reached, last)
    begin = last - TAIL_ROWS if reached is None or is_other else max(reached.number, last - TAIL_ROWS)
    numbers = connection.execute(
        "SELECT rowid FROM metrics WHERE rowid > ? AND rowid <= ? ORDER BY rowid", (begin, last)
    ).fetchall()
    found: list[_Row] = []
    size = 0
    for (number,) in numbers:
        if time.monotonic() > deadline and found:
            last = found[-1].number
            break
        row = _read_row(connection, query, number)
        if row is None:
            continue
        *identity, count, written, metrics = row
        size += len(str(metrics))
        if size > MAX_BYTES:
            last = number - 1
            break
        run_id, run_name = (str(part)[:MAX_NAME] for part in identity)
        found.append(_Row(number, run_id, run_name, to_int(count), parse_time(written), parse_metrics(metrics)))
    return _Read(_Reached(last, _read_content(connection, query, last)), found, is_other)


def _is_other(connection: sqlite3.Connection, query: str, reached: _Reached, last: int) -> bool:
    """Whether it is another database than before, or its numbers begin again as its rows were deleted."""
    content = _read_content(connection, query, reached.number)
    return last < reached.number or (content is not None and content != reached.content)


def _read_content(connection: sqlite3.Connection, query: str, number: int) -> tuple[Any, ...] | None:
    """What a row holds besides its run, which may be renamed; None for none, as rows may be deleted."""
    row = _read_row(connection, query, number)
    return row and row[2:]


def _read_row(connection: sqlite3.Connection, query: str, number: int) -> tuple[Any, ...] | None:
    """One row, as Python's cursor loses the row before one that fails; None for one that is larger than is read."""
    try:
        row: tuple[Any, ...] | None = connection.execute(query, (number,)).fetchone()
    except sqlite3.DataError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_TOOBIG:
            raise
        return None
    return row


def to_int(value: object) -> int | None:
    """A count as SQLite gives it: any type may stand in any column."""
    return value if isinstance(value, int) else None


def parse_time(text: object) -> float | None:
    """The Unix time of an ISO date; trackio writes them in UTC."""
    try:
        at = datetime.fromisoformat(str(text))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def parse_metrics(text: object) -> Mapping[str, object]:
    """What was reported, without tables and the like; empty for what is no dictionary in JSON."""
    try:
        reported = json.loads(text) if isinstance(text, str | bytes) else None
    except (ValueError, RecursionError):
        return {}
    items = islice(reported.items(), 2 * MAX_VALUES) if isinstance(reported, dict) else ()
    return {name: value for name, value in items if not isinstance(value, dict | list)}


def _explain(error: OSError | sqlite3.Error | UnicodeDecodeError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, UnicodeDecodeError):
        return "the database is damaged"  # Python cannot decode the error's own text, which quotes the schema.
    if isinstance(error, sqlite3.OperationalError) and "interrupted" in str(error):
        return f"not read within {MAX_SECONDS} s"
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
        return "its log is not ready to be read: a writer is just opening it"
    return str(error)
