"""The alert loop's SQLite database: alert states, rule memories, events, and the tables of other modules.

One transaction commits a transition together with its news, and `synchronous=FULL` puts it on the disk before anything
is sent; so a kill or a power cut at any instant loses no notification. Times are epoch seconds.

The loop works on a copy in memory, and the file follows it: what was read once cannot be damaged later, and a file that
is damaged, deleted or cannot be written costs no alert. It is written again from memory as soon as that is possible.
"""

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState
from alerts.messages.single import Message
from alerts.schema import FORMAT, check_texts
from exporter.files.database import (
    Damaged,
    Unavailable,
    connect,
    connect_read_only,
    describe_error,
    explain,
    identify,
    make_in_memory,
    set_aside,
)
from exporter.files.database_rows import copy_rows, find_difference

FILE = "alerts.sqlite"
KEPT_EVENTS = 1000
# The file is read as a whole so often, which takes some milliseconds.
CHECK_SECONDS = 600.0

log = logging.getLogger(__name__)


class FileHealth(Protocol):
    """A database of the loop: why it cannot be written now, if so, and what was set aside since the start."""

    problem: str
    aside: Path | None
    set_aside_count: int


class StoreError(Exception):
    """The database cannot be opened; the text names it and the reason."""


class Store:
    """The database. Only the loop's thread uses it.

    `problem` says why the file cannot be written now, and is empty while it can; `aside` is the latest damaged file
    that was set aside, of `set_aside_count`; `is_lost` if that was found at the start, when nothing was in memory.
    """

    def __init__(self, path: Path) -> None:
        """Raises StoreError where the file cannot be read, though it may be good."""
        self._path = path
        self._file: sqlite3.Connection | None = None
        self._files: tuple[tuple[int, int] | None, ...] = ()
        self._is_behind = False
        self._checked_at = time.monotonic()
        self._changes: list[tuple[str, list[tuple[Any, ...]]]] = []
        self.problem = ""
        self.aside: Path | None = None
        self.set_aside_count = 0
        self.is_lost = False
        self._memory = _make_memory()
        try:
            self._read()
        except Damaged as error:
            self.is_lost = True
            self._memory.close()
            self._memory = _make_memory()
            self._start_file_again(error)

    def close(self) -> None:
        """Leaves a file that is whole, so that the next start finds what this one knew."""
        if self._is_behind or self._is_moved():
            self._catch_up()
        else:
            self._check_file()
        self._close_file()
        self._memory.close()

    def load(self) -> AlertStates:
        """The alert states of the last commit."""
        states = {
            Key(rule, peer): AlertState(**json.loads(state))
            for rule, peer, state in self._memory.execute("SELECT rule, peer, state FROM alerts")
        }
        memories = {
            Key(rule, peer): json.loads(memory)
            for rule, peer, memory in self._memory.execute("SELECT rule, peer, memory FROM memories")
        }
        return AlertStates(states, memories)

    def commit(
        self,
        before: AlertStates,
        after: AlertStates,
        events: Iterable[tuple[Event, Message]],
        write_news: Callable[[], None],
    ) -> None:
        """Writes an evaluation and its events with their messages, and what `write_news` writes: all or nothing.

        Once for each evaluation, this also brings a file up to date that could not be written.
        """
        with self.transaction():
            self._replace("alerts", "state", before.states, after.states, asdict)
            self._replace("memories", "memory", before.memories, after.memories, dict)
            for event, message in events:
                self._add_event(event, message)
            write_news()
        if self._is_behind or self._is_moved():
            self._catch_up()
        elif time.monotonic() - self._checked_at > CHECK_SECONDS:
            self._check_file()

    def events(self, limit: int = 200) -> list[dict[str, Any]]:
        """The latest events, the newest last."""
        rows = self._memory.execute(
            "SELECT id, at, rule, peer, kind, severity, title, body FROM events ORDER BY id DESC LIMIT ?", (limit,)
        )
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row, strict=True)) for row in reversed(rows.fetchall())]

    def execute(self, query: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        """Reads from memory; what it writes goes to the file with the transaction, or at once outside of one."""
        values = tuple(values)
        cursor = self._memory.execute(query, values)
        if query.lstrip()[:6].upper() != "SELECT":
            self._changes.append((query, [values]))
            if not self._memory.in_transaction:
                self._write_changes()
        return cursor

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits all that is written within, or nothing; a nested one is part of the outer one."""
        if self._memory.in_transaction:
            yield
            return
        self._memory.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._memory.execute("ROLLBACK")
            self._changes.clear()
            raise
        self._write_changes()
        self._memory.execute("COMMIT")

    def _replace(self, table: str, column: str, before: Any, after: Any, encode: Any) -> None:
        """Writes the rows that differ between two mappings by Key."""
        gone = [tuple(key) for key in before if key not in after]
        changed = [(*key, json.dumps(encode(value))) for key, value in after.items() if before.get(key) != value]
        self._execute_many(f"DELETE FROM {table} WHERE rule = ? AND peer = ?", gone)
        self._execute_many(f"INSERT OR REPLACE INTO {table} (rule, peer, {column}) VALUES (?, ?, ?)", changed)

    def _execute_many(self, query: str, rows: list[tuple[Any, ...]]) -> None:
        """Within a transaction."""
        if rows:
            self._memory.executemany(query, rows)
            self._changes.append((query, rows))

    def _add_event(self, event: Event, message: Message) -> None:
        cursor = self.execute(
            "INSERT INTO events (at, rule, peer, kind, severity, title, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (event.at, *event.key, event.kind, event.severity, message.title, message.body),
        )
        self.execute("DELETE FROM events WHERE id <= ?", ((cursor.lastrowid or 0) - KEPT_EVENTS,))

    def _read(self) -> None:
        """Opens the file and copies it to memory; one on a full or read-only disk is read, and written later."""
        try:
            self._open_file()
            source = self._file
            assert source is not None
        except Unavailable as error:
            if not error.is_disk:
                raise StoreError(_name(self._path, error)) from None
            self._note_problem(error)
            if not self._path.exists():
                return
            try:
                source = connect_read_only(self._path, FORMAT)
            except Unavailable:
                raise StoreError(_name(self._path, error)) from None
        try:
            with _transaction(self._memory):
                copy_rows(source, self._memory)
            check_texts(self._memory)
        except Exception as error:
            raise explain(error, self._path) or Damaged(describe_error(error)) from error
        finally:
            if source is not self._file:
                source.close()

    def _write_changes(self) -> None:
        """Repeats on the file what was done in memory. A failure that is not the disk's shows that it is damaged."""
        changes, self._changes = self._changes, []
        if not changes:
            return
        if self._file is None or self._is_moved():
            self._is_behind = True
        if self._is_behind or self._file is None:
            return
        try:
            with _transaction(self._file):
                for query, rows in changes:
                    if len(rows) == 1:
                        self._file.execute(query, rows[0]).fetchall()
                    else:
                        self._file.executemany(query, rows)
        except Exception as error:  # noqa: BLE001  Whatever SQLite says of a damaged file.
            fault = explain(error, self._path) or Damaged(describe_error(error))
            if isinstance(fault, Unavailable):
                self._note_problem(fault)
            else:
                # The caller's changes are in memory already, and not committed there.
                self._start_file_again(fault)

    def _catch_up(self) -> None:
        """Writes the whole content to the file again."""
        try:
            if self._file is not None and self._is_moved():
                self._close_file()
                if self._path.exists():
                    aside = set_aside(self._path, FORMAT, word="replaced")
                    log.error("%s was replaced while it was in use: the other file is kept as %s", self._path, aside)
                else:
                    log.error("%s was deleted while it was in use: it is written again", self._path)
            if self._file is None:
                self._open_file()
            assert self._file is not None
            with _transaction(self._file):
                copy_rows(self._memory, self._file)
        except Exception as error:  # noqa: BLE001  As above.
            fault = explain(error, self._path) or Damaged(describe_error(error))
            if isinstance(fault, Unavailable):
                self._note_problem(fault)
            else:
                self._start_file_again(fault)
            return
        self._is_behind = False
        if self.problem:
            log.info("%s: alert states are written again", self._path)
        self.problem = ""

    def _check_file(self) -> None:
        """Reads the whole file, of which SQLite itself reads only what it needs, and compares it with memory."""
        self._checked_at = time.monotonic()
        try:
            if self._file is not None:
                self._file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            with closing(connect(self._path, FORMAT)) as file:
                table = find_difference(self._memory, file)
            if table:
                raise Damaged(f"its table {table} is not what was written")
        except Exception as error:  # noqa: BLE001  Whatever SQLite says of a damaged file.
            fault = explain(error, self._path) or Damaged(describe_error(error))
            if isinstance(fault, Unavailable):
                self._note_problem(fault)
            else:
                self._start_file_again(fault)

    def _start_file_again(self, fault: Damaged) -> None:
        """Sets the damaged file aside and writes a new one from memory."""
        self._close_file()
        try:
            self.aside = set_aside(self._path, FORMAT)
            self.set_aside_count += 1
            left = "alert states and pending notifications are lost" if self.is_lost else "nothing is lost"
            log.error("%s is damaged (%s): kept as %s; %s", self._path, fault, self.aside.name, left)
            self._open_file()
            assert self._file is not None
            with _transaction(self._file):
                copy_rows(self._memory, self._file)
        except Exception as error:  # noqa: BLE001  A second failure leaves the content in memory, until the next round.
            self._note_problem(explain(error, self._path) or Damaged(describe_error(error)))

    def _open_file(self) -> None:
        self._file = connect(self._path, FORMAT)
        self._files = identify(self._path)

    def _close_file(self) -> None:
        if self._file is not None:
            with suppress(sqlite3.Error):
                self._file.close()
        self._file = None

    def _is_moved(self) -> bool:
        return self._file is not None and identify(self._path) != self._files

    def _note_problem(self, fault: Unavailable | Damaged) -> None:
        self._is_behind = True
        if not self.problem:
            log.error(
                "alert states cannot be written, and are kept in memory: %s; alerts go on", _name(self._path, fault)
            )
        self.problem = str(fault)


def _make_memory() -> sqlite3.Connection:
    db = make_in_memory(FORMAT)
    db.execute("PRAGMA foreign_keys = ON")
    return db


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def _name(path: Path, fault: Exception) -> str:
    text = str(fault)
    return text if str(path.parent) in text else f"{path}: {text}"
