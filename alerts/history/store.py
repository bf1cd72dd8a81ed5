"""Writes history.sqlite: recent samples, blocks and summaries of complete hours, firings.

Only the recorder's thread writes, through `Store`; readers open the file with `archive`. A subject's samples are
ordered by id, not by time, so that a clock that is set does not reorder them.
"""

import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from alerts.history.block import Block
from alerts.history.packing import pack_samples, read_samples
from alerts.history.samples import SeriesName, Subject
from exporter.files.database import Format, connect

FILE = "history.sqlite"
# Samples of so many subjects share a row: a row for each would touch as many pages of the disk.
GROUP = 64
# Bounds the series of pages with ever new label values.
MAX_SERIES = 20_000
_SCHEMA = """
CREATE TABLE subjects (id INTEGER PRIMARY KEY, scope TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (scope, name));
CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL, UNIQUE (name, labels));
CREATE TABLE looks (id INTEGER PRIMARY KEY, crowd INTEGER NOT NULL, at REAL NOT NULL, data BLOB NOT NULL);
CREATE INDEX looks_of_crowd ON looks (crowd, id, at);
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, begins REAL NOT NULL, ends REAL NOT NULL,
    is_thin INTEGER NOT NULL DEFAULT 0, data BLOB NOT NULL
);
CREATE INDEX blocks_of_subject ON blocks (subject, ends);
CREATE INDEX blocks_by_age ON blocks (is_thin, ends);
CREATE TABLE summaries (
    id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, slot_seconds REAL NOT NULL, begins REAL NOT NULL,
    ends REAL NOT NULL, data BLOB NOT NULL
);
CREATE INDEX summaries_of_subject ON summaries (subject, slot_seconds, ends);
CREATE INDEX summaries_by_age ON summaries (slot_seconds, ends);
CREATE TABLE firings (
    id INTEGER PRIMARY KEY, rule TEXT NOT NULL, subject TEXT NOT NULL, severity TEXT NOT NULL, summary TEXT NOT NULL,
    fired_at REAL NOT NULL, ended_at REAL
);
CREATE INDEX firings_by_age ON firings (ended_at);
"""
FORMAT = Format(
    kind=2,
    version=1,
    steps={0: _SCHEMA},
    largest=253_402_300_799.0,
    kept=2,
    is_small=False,
    # A power cut may lose the last samples, never the file; a kill loses nothing.
    synchronous="NORMAL",
    new_file="PRAGMA auto_vacuum = INCREMENTAL",
)
# Free pages that stay in the file for later writes.
_SPARE_PAGES = 512


class FileError(Exception):
    """The file cannot be read; `is_damage` unless that may pass."""

    def __init__(self, text: str, *, is_damage: bool) -> None:
        super().__init__(text)
        self.is_damage = is_damage


class Firing(NamedTuple):
    """A firing of an alert; `ended_at` is None while it lasts."""

    rule: str
    subject: str
    severity: str
    summary: str
    fired_at: float
    ended_at: float | None


class Span(NamedTuple):
    """A stored block or summary: its row, its subject's id, and the time that it covers."""

    id: int
    subject: int
    begins: float
    ends: float
    data: bytes


def load_subjects(db: sqlite3.Connection) -> dict[Subject, int]:
    return {Subject(scope, name): number for number, scope, name in db.execute("SELECT id, scope, name FROM subjects")}


def load_series(db: sqlite3.Connection) -> dict[SeriesName, int]:
    return {
        SeriesName(name, parse_labels(labels)): number
        for number, name, labels in db.execute("SELECT id, name, labels FROM series")
    }


def write_labels(labels: Iterable[tuple[str, str]]) -> str:
    """Labels as one text; they hold no control characters."""
    return "\n".join(f"{name}\t{text}" for name, text in sorted(labels))


def parse_labels(text: str) -> frozenset[tuple[str, str]]:
    parts = (line.partition("\t") for line in text.split("\n") if line)
    return frozenset((name, value) for name, _, value in parts)


class Store:
    """Writes the file; one thread uses it. Raises sqlite3.Error; a failed write leaves the file as it was."""

    def __init__(self, path: Path, *, is_suspect: bool = False) -> None:
        """A file that may be damaged is checked, which takes a second. Raises Unavailable, Damaged."""
        self._db = connect(path, FORMAT, is_checked=is_suspect)
        try:
            self.subjects = load_subjects(self._db)
            self.series = load_series(self._db)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    def subject_id(self, subject: Subject) -> int:
        if subject not in self.subjects:
            query = "INSERT INTO subjects (scope, name) VALUES (?, ?)"
            self.subjects[subject] = self._db.execute(query, subject).lastrowid or 0
        return self.subjects[subject]

    def series_id(self, series: SeriesName) -> int | None:
        """The id of the series; None if there are MAX_SERIES."""
        found = self.series.get(series)
        if found is None and len(self.series) < MAX_SERIES:
            query = "INSERT INTO series (name, labels) VALUES (?, ?)"
            found = self._db.execute(query, (series.name, write_labels(series.labels))).lastrowid or 0
            self.series[series] = found
        return found

    def add_samples(self, at: float, frames: Mapping[int, Mapping[int, float]]) -> None:
        crowds: dict[int, dict[int, Mapping[int, float]]] = {}
        for subject, numbers in frames.items():
            crowds.setdefault(subject // GROUP, {})[subject] = numbers
        rows = [(crowd, at, pack_samples(part)) for crowd, part in crowds.items()]
        self._db.executemany("INSERT INTO looks (crowd, at, data) VALUES (?, ?, ?)", rows)

    def crowds(self) -> list[int]:
        return [row[0] for row in self._db.execute("SELECT DISTINCT crowd FROM looks")]

    def find_foldable(self, crowd: int, seconds: float, most: int) -> int | None:
        """The last row of a crowd's oldest hour, if that is complete or has more than `most` rows."""
        first = self._db.execute("SELECT at FROM looks WHERE crowd = ? ORDER BY id LIMIT 1", (crowd,)).fetchone()
        if first is None:
            return None
        begins = first[0] - first[0] % seconds
        next_hour = self._db.execute(
            "SELECT min(id) FROM looks WHERE crowd = ? AND (at < ? OR at >= ?)", (crowd, begins, begins + seconds)
        ).fetchone()[0]
        too_many = self._db.execute("SELECT id FROM looks WHERE crowd = ? ORDER BY id LIMIT 1 OFFSET ?", (crowd, most))
        ends = [row for row in (next_hour, (too_many.fetchone() or (None,))[0]) if row is not None]
        return min(ends) - 1 if ends else None

    def read_samples(self, crowd: int, last: int, subjects: Container[int]) -> dict[int, Block]:
        """The samples of some subjects of a crowd up to a row."""
        query = "SELECT at, data FROM looks WHERE crowd = ? AND id <= ? ORDER BY id"
        return read_samples(self._db.execute(query, (crowd, last)), subjects)

    def fold(self, crowd: int, last: int, folded: Mapping[int, tuple[Block, bytes, bytes]], slot: float) -> None:
        """Replaces a crowd's samples up to a row by blocks and summaries."""
        with self.transaction():
            for subject, (block, data, summary) in folded.items():
                begins, ends = min(block.times), max(block.times)
                query = "INSERT INTO blocks (subject, begins, ends, data) VALUES (?, ?, ?, ?)"
                self._db.execute(query, (subject, begins, ends, data))
                self.add_summary(subject, slot, begins, ends, summary)
            self._db.execute("DELETE FROM looks WHERE crowd = ? AND id <= ?", (crowd, last))

    def add_summary(self, subject: int, slot: float, begins: float, ends: float, data: bytes) -> None:
        query = "INSERT INTO summaries (subject, slot_seconds, begins, ends, data) VALUES (?, ?, ?, ?, ?)"
        self._db.execute(query, (subject, slot, begins, ends, data))

    def summaries_between(self, subject: int, slot: float, since: float, until: float) -> list[Span]:
        query = (
            "SELECT id, subject, begins, ends, data FROM summaries "
            "WHERE subject = ? AND slot_seconds = ? AND ends >= ? AND begins < ? ORDER BY begins"
        )
        return [Span(*row) for row in self._db.execute(query, (subject, slot, since, until))]

    def last_summary_end(self, subject: int, slot: float) -> float | None:
        query = "SELECT max(ends) FROM summaries WHERE subject = ? AND slot_seconds = ?"
        found: float | None = self._db.execute(query, (subject, slot)).fetchone()[0]
        return found

    def oldest_full_block(self) -> Span | None:
        query = "SELECT id, subject, begins, ends, data FROM blocks WHERE is_thin = 0 ORDER BY ends LIMIT 1"
        row = self._db.execute(query).fetchone()
        return None if row is None else Span(*row)

    def has_thin_blocks(self) -> bool:
        return self._db.execute("SELECT 1 FROM blocks WHERE is_thin LIMIT 1").fetchone() is not None

    def drop_block(self, number: int) -> None:
        self._db.execute("DELETE FROM blocks WHERE id = ?", (number,))

    def replace_block(self, number: int, data: bytes) -> None:
        self._db.execute("UPDATE blocks SET is_thin = 1, data = ? WHERE id = ?", (data, number))

    def forget(self, until: float, limit: int) -> int:
        """Deletes up to `limit` rows of each kind that ended before `until`; how many it deleted."""
        deleted = 0
        for table, column in (("blocks", "ends"), ("summaries", "ends"), ("firings", "ended_at")):
            query = f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {column} < ? LIMIT ?)"
            deleted += self._db.execute(query, (until, limit)).rowcount
        return deleted

    def oldest_end(self) -> float | None:
        """When the oldest block ended."""
        found: float | None = self._db.execute("SELECT min(ends) FROM blocks").fetchone()[0]
        return found

    def size_bytes(self) -> int:
        """The file without its free pages."""
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def give_back(self, pages: int) -> bool:
        """Returns some free pages to the file system; False if there are few."""
        if self._db.execute("PRAGMA freelist_count").fetchone()[0] < _SPARE_PAGES:
            return False
        self._db.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
        return True

    def open_firings(self) -> dict[tuple[str, str], int]:
        """Rows of the firings that have not ended, by rule and subject."""
        query = "SELECT rule, subject, id FROM firings WHERE ended_at IS NULL"
        return {(rule, subject): number for rule, subject, number in self._db.execute(query)}

    def begin_firing(self, rule: str, subject: str, severity: str, summary: str, at: float) -> int:
        query = "INSERT INTO firings (rule, subject, severity, summary, fired_at) VALUES (?, ?, ?, ?, ?)"
        return self._db.execute(query, (rule, subject, severity, summary, at)).lastrowid or 0

    def end_firing(self, number: int, at: float) -> None:
        self._db.execute("UPDATE firings SET ended_at = ? WHERE id = ?", (at, number))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits all that is written within, or nothing; a nested one is part of the outer one."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
