"""SQLite files that outlive what happens to them: private, checked when opened, set aside when they are damaged.

Every failure is one of two. `Damaged`: the content is not what was written, so the file is set aside and a new one is
started. `Unavailable`: nothing is wrong with the content. The disk is full or read-only, another process holds the
file, it cannot be locked, or a newer version wrote it; then it stays as it is.
"""

import contextlib
import errno
import logging
import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from exporter.files.database_names import COMPANIONS, Replaced, names_lock, open_connection
from exporter.files.database_rows import read_tables
from exporter.files.file_lock import find_lock_problem

# How long a statement waits for another process.
TIMEOUT_SECONDS = 2.0
# Integers beyond this are not ours, and a row id near the largest makes SQLite say that the disk is full.
_LARGEST_INTEGER = 2**53
# The two high bytes of `PRAGMA application_id`; then come the kind of file and its format.
_APPLICATION = 0x5057
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_DAMAGE_OF_FILE = {sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_DISK = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT}
# A damaged header makes a file read-only too, so these are believed only where there is such an obstacle.
_DOUBTFUL = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}

log = logging.getLogger(__name__)


class Unavailable(Exception):
    """The file cannot be read or written now, or by this version. One line that names it and the reason.

    `is_disk` if the disk is the reason, and may have room again.
    """

    def __init__(self, text: str, *, is_disk: bool = False) -> None:
        super().__init__(text)
        self.is_disk = is_disk


class Damaged(Exception):
    """The content is not what was written; one line that says how."""


@dataclass(frozen=True)
class Format:
    """What a kind of file holds.

    `steps` makes the current tables from each earlier version; 0 is a new file. `kind` never changes, so that this
    version recognizes a newer one. `largest` bounds the REAL columns; `kept` is how many damaged files are kept.
    `is_small` if all of it is read when it is opened. `new_file` is executed before the first table is made.
    """

    kind: int
    version: int
    steps: Mapping[int, str]
    largest: float
    kept: int = 5
    is_small: bool = True
    synchronous: str = "FULL"
    new_file: str = ""

    def application_id(self, version: int) -> int:
        """The version stands in the file twice, so that a damaged number is told from a newer version."""
        return _APPLICATION << 16 | self.kind << 8 | version & 0xFF


def connect(path: Path, form: Format, *, is_checked: bool = True) -> sqlite3.Connection:
    """Opens the file, which is created, and checks all of it if `is_checked`. Raises Unavailable and Damaged."""
    is_new = False
    try:
        with names_lock:
            is_new = make_private(path)
            db = _open(path, form, is_new=is_new)
        try:
            _check(db, form, is_checked=is_checked)
        except BaseException:
            db.close()
            raise
        return db
    except Exception as error:
        fault = explain(error, path) or Damaged(describe_error(error))
        if is_new and isinstance(fault, Unavailable):
            with contextlib.suppress(OSError), names_lock:
                path.unlink()
        raise fault from error


def connect_beside_writer(path: Path) -> sqlite3.Connection:
    """Opens a file for reading that another connection of this process may write. Raises Unavailable and Damaged."""
    try:
        with names_lock:
            db = open_connection(path, "rw", TIMEOUT_SECONDS, is_owner=False)
            try:
                db.execute("PRAGMA query_only = ON")
                # The first read opens the companions.
                db.execute("SELECT 1 FROM sqlite_master").fetchone()
                db.know_companions()
            except BaseException:
                db.close()
                raise
    except Exception as error:
        raise explain(error, path) or Damaged(describe_error(error)) from error
    return db


def connect_read_only(path: Path, form: Format) -> sqlite3.Connection:
    """Opens a file that cannot be written to, and checks it. Raises Unavailable and Damaged."""
    # In this mode SQLite needs no file beside it; without the log, the last changes may be missing.
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        try:
            address = f"file:{quote(str(path))}?{mode}"
            db = sqlite3.connect(
                address, uri=True, isolation_level=None, timeout=TIMEOUT_SECONDS, check_same_thread=False
            )
            try:
                db.execute("PRAGMA locking_mode = EXCLUSIVE")
                _check(db, form, is_checked=True)
            except BaseException:
                db.close()
                raise
            return db
        except Exception as error:  # noqa: BLE001  Whatever is wrong with a damaged file.
            fault = explain(error, path) or Damaged(describe_error(error))
    raise fault


def explain(error: Exception, path: Path) -> Unavailable | Damaged | None:
    """What an error of SQLite or the system says about the file; None where that is open."""
    if isinstance(error, Unavailable | Damaged):
        return error
    if isinstance(error, Replaced):
        return Unavailable(str(error))
    if isinstance(error, OSError):
        return Unavailable(f"{path}: {error.strerror}", is_disk=True)
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(error, sqlite3.Error) or code is None:
        return None
    primary = code & 0xFF
    if primary in _DAMAGE or code in _DAMAGE_OF_FILE:
        return Damaged(describe_error(error))
    if primary in _LOCKED:
        return Unavailable(_find_obstacle(path) or f"{path}: {describe_error(error)}: another process uses it")
    if primary in _DISK:
        return Unavailable(_find_obstacle(path) or f"{path}: {describe_error(error)}", is_disk=_has_locks(path))
    if primary in _DOUBTFUL:
        obstacle = _find_obstacle(path)
        return Unavailable(obstacle, is_disk=_has_locks(path)) if obstacle else Damaged(describe_error(error))
    return None


def describe_error(error: Exception) -> str:
    """One short line; what SQLite says of a damaged file may hold parts of it."""
    text = " ".join(str(error).encode("ascii", "replace").decode().split())
    return (
        text[:200]
        if isinstance(error, sqlite3.Error | Damaged | Unavailable)
        else f"{type(error).__name__}: {text}"[:200]
    )


def set_aside(path: Path, form: Format, now: float | None = None, word: str = "damaged") -> Path:
    """Renames the file and its companions to a name with the time, and deletes the oldest of many. Raises OSError."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() if now is None else now))
    names = (f"{path.name}.{word}-{moment}" + (f"-{number}" if number else "") for number in range(10_000))
    aside = next(found for name in names if not os.path.lexists(found := path.with_name(name)))
    with names_lock:
        for suffix in ("", *COMPANIONS):
            # A link that leads nowhere is in the way too; whoever reads the file last deletes what is beside it.
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    _close_to_others(aside)
    kept = [found for found in _set_aside_before(path) if not found.name.endswith(COMPANIONS)]
    for old in sorted(kept, key=lambda found: found.lstat().st_mtime_ns)[: -form.kept]:
        for suffix in ("", *COMPANIONS):
            if old != aside:
                old.with_name(old.name + suffix).unlink(missing_ok=True)
    return aside


def identify(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Which files the name and its log lead to: after they were deleted or emptied, what is written to them is lost."""
    return _identify(path, may_be_empty=False), _identify(path.with_name(f"{path.name}-wal"), may_be_empty=True)


def make_private(path: Path) -> bool:
    """Closes the file, its companions and those set aside to other users; whether it had to be created.

    Raises OSError.
    """
    try:
        # SQLite gives the files beside it the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        is_new = True
    except FileExistsError:
        is_new = False
    opened = [part for part in (path, *_set_aside_before(path)) if _close_to_others(part)]
    if opened:
        log.warning("%s could be read by other users: now by its owner only", ", ".join(map(str, opened)))
    return is_new


def make_in_memory(form: Format) -> sqlite3.Connection:
    """A database with the current tables and no file."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(form.steps[0])
    return db


def _open(path: Path, form: Format, *, is_new: bool) -> sqlite3.Connection:
    # Whoever opens a pipe for reading waits for ever for its other end.
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise Damaged("it is no file")
    # SQLite would take it for a new one, and delete a log that is left of it.
    if not is_new and path.is_file() and path.stat().st_size == 0:
        raise Damaged("it is empty")
    db = open_connection(path, "rwc", TIMEOUT_SECONDS, is_owner=True)
    try:
        if is_new and form.new_file:
            db.execute(form.new_file)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {form.synchronous}")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(f"PRAGMA journal_size_limit = {4 * 2**20}")
        _migrate(db, form)
        db.know_companions()
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, form: Format) -> None:
    version = _read_version(db, form)
    if version != form.version:
        db.executescript(f"BEGIN IMMEDIATE; {form.steps[version]} PRAGMA user_version = {form.version}; COMMIT;")
    mark = form.application_id(form.version)
    if db.execute("PRAGMA application_id").fetchone()[0] != mark:
        db.execute(f"PRAGMA application_id = {mark}")


def _read_version(db: sqlite3.Connection, form: Format) -> int:
    """The version, one that `form` knows. Raises Unavailable for a newer one, Damaged for a number that is none."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    mark = db.execute("PRAGMA application_id").fetchone()[0]
    if version == form.version or (version > 0 and version in form.steps):
        return version
    if version == 0 and not read_tables(db):
        return 0
    if version > form.version and mark == form.application_id(version):
        raise Unavailable(
            f"written by a newer version of Peerwatch (format {version}; this one reads up to {form.version});"
            " update Peerwatch, or move the file away"
        )
    raise Damaged(f"its format number is {version}")


def _check(db: sqlite3.Connection, form: Format, *, is_checked: bool) -> None:
    """Whether the file has our tables; with `is_checked` also every page, and the type and size of every value."""
    if _read_version(db, form) != form.version:
        raise Damaged("it has no tables")
    if not is_checked:
        return
    verdict = db.execute(f"PRAGMA {'integrity_check' if form.is_small else 'quick_check'}(1)").fetchone()[0]
    if verdict != "ok":
        raise Damaged(describe_error(sqlite3.DatabaseError(verdict)))
    ours = make_in_memory(form)
    expected, found = read_tables(ours), read_tables(db)
    for table, columns in expected.items():
        if not set(columns) <= set(found.get(table, ())):
            raise Damaged(f"its table {table} is missing or incomplete")
        if db.execute(_find_misfits(ours, table, form.largest)).fetchone() is not None:
            raise Damaged(f"its table {table} has a value of the wrong kind")
        # Texts that are not UTF-8 are found by reading them.
        texts = [row[1] for row in ours.execute(f"PRAGMA table_info('{table}')") if row[2] == "TEXT"]
        for _ in db.execute(f"SELECT {', '.join(texts)} FROM {table}") if texts else ():
            pass
    if "sqlite_sequence" in {row[0] for row in ours.execute("SELECT name FROM sqlite_master")}:
        query = f"SELECT 1 FROM sqlite_sequence WHERE NOT {_fits('seq', 'INTEGER', 0)}"
        if db.execute(query).fetchone() is not None:
            raise Damaged("its row numbers are wrong")


def _find_misfits(ours: sqlite3.Connection, table: str, largest: float) -> str:
    """A query for a row with a value that the column cannot hold."""
    conditions = []
    for _, column, kind, is_required, _, is_key in ours.execute(f"PRAGMA table_info('{table}')"):
        fits = _fits(column, kind, largest)
        conditions.append(fits if is_required or is_key else f"({column} IS NULL OR {fits})")
    return f"SELECT 1 FROM {table} WHERE NOT ({' AND '.join(conditions)}) LIMIT 1"


def _fits(column: str, kind: str, largest: float) -> str:
    if kind == "INTEGER":
        limit = _LARGEST_INTEGER
        return f"(typeof({column}) = 'integer' AND {column} BETWEEN -{limit} AND {limit})"
    if kind == "REAL":
        return f"(typeof({column}) IN ('real', 'integer') AND {column} BETWEEN -{largest!r} AND {largest!r})"
    return f"typeof({column}) = '{kind.lower()}'"


def _find_obstacle(path: Path) -> str:
    """What keeps this process from writing to the file; empty if nothing does."""
    if path.is_dir():
        return f"{path} is a folder"
    try:
        problem = find_lock_problem(path.parent)
    except OSError as error:
        return f"cannot write to {path.parent}: {error.strerror}"
    if not problem and path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return f"cannot write to {path}: {os.strerror(errno.EACCES)}"
    return problem


def _has_locks(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return not find_lock_problem(path.parent)
    return True


def _set_aside_before(path: Path) -> Iterator[Path]:
    return iter(
        [
            found
            for found in path.parent.iterdir()
            if found.name.startswith((f"{path.name}.damaged", f"{path.name}.replaced"))
        ]
    )


def _close_to_others(path: Path) -> bool:
    """Makes a file and its companions readable by the owner only; whether any was not."""
    was_open = False
    for suffix in ("", *COMPANIONS):
        part = path.with_name(path.name + suffix)
        with contextlib.suppress(OSError):
            mode = part.stat().st_mode
            if stat.S_ISREG(mode) and stat.S_IMODE(mode) != 0o600:
                part.chmod(0o600)
                # Some disks keep no modes.
                was_open |= bool(mode & 0o077) and not part.stat().st_mode & 0o077
    return was_open


def _identify(path: Path, *, may_be_empty: bool) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_size or may_be_empty else None
