"""The one door to history.sqlite: looks as they come, blocks and summaries of hours that are over, firings.

The recorder's thread writes through `Store`; who reads opens the file with `Archive`, whenever and as often as needed.
A subject's looks are kept in the order in which they happened, whatever its clock did: ids order them, times do not.
"""

import sqlite3
import struct
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from alerts.history.block import Block, decode
from alerts.history.looks import Series, Subject

FILE = "history.sqlite"
FORMAT = 1
# Looks of so many subjects share a row: a row for each would touch as many pages of the disk.
GROUP = 64
# A page that makes up new label values all the time gets no more than its share of the series.
MAX_SERIES = 20_000
_SCHEMA = f"""
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
PRAGMA user_version = {FORMAT};
"""
# Free pages that stay in the file for what comes next.
_SPARE_PAGES = 512
_FRAME = struct.Struct("<IH")


# Whatever SQLite has to say against a file.
FileError = sqlite3.Error


def is_damage(error: Exception) -> bool:
    """Whether the file itself is at fault, and not the disk, a lock or the like, which may pass."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)


class Firing(NamedTuple):
    """An alert that fires, from one look to another; `ended_at` is None while it still does."""

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


class Archive:
    """Reads the file. Raises FileNotFoundError where there is none, FileError where it cannot be read."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(path)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False)
        self._db.execute("PRAGMA query_only = ON")
        if self._db.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
            self._db.close()
            raise FileNotFoundError(f"{path} is being made, or was made by another version of peerwatch")
        self.subjects: dict[Subject, int] = load_subjects(self._db)
        self.series: dict[int, Series] = {number: series for series, number in load_series(self._db).items()}

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> "Archive":
        # One state of the file for all that is read: an hour that is folded meanwhile is neither lost nor seen twice.
        self._db.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begins(self) -> float | None:
        """When the oldest look was made that is left."""
        return min(
            (
                row[0]
                for table, column in (("blocks", "begins"), ("looks", "at"))
                for row in self._db.execute(f"SELECT min({column}) FROM {table}")
                if row[0] is not None
            ),
            default=None,
        )

    def thinned_until(self) -> float | None:
        """Up to when only some of the looks are left."""
        found: float | None = self._db.execute("SELECT max(ends) FROM blocks WHERE is_thin").fetchone()[0]
        return found

    def blocks(self, subject: int, since: float) -> Iterator[Span]:
        """The blocks that reach past `since`, in the order in which they were seen."""
        query = "SELECT id, subject, begins, ends, data FROM blocks WHERE subject = ? AND ends >= ? ORDER BY id"
        return (Span(*row) for row in self._db.execute(query, (subject, since)))

    def summaries(self, subject: int, slot_seconds: float, since: float) -> Iterator[Span]:
        query = (
            "SELECT id, subject, begins, ends, data FROM summaries "
            "WHERE subject = ? AND slot_seconds = ? AND ends >= ? ORDER BY begins"
        )
        return (Span(*row) for row in self._db.execute(query, (subject, slot_seconds, since)))

    def open_blocks(
        self, subjects: Container[int], wanted: Container[int] | None = None, since: float = 0.0
    ) -> dict[int, Block]:
        """The looks that are in no block yet, by subject, with the series that are wanted."""
        return read_looks(
            self._db.execute("SELECT at, data FROM looks WHERE at >= ? ORDER BY id", (since,)), subjects, wanted
        )

    def firings(self, since: float) -> list[Firing]:
        """What fired later than `since`, the first first."""
        query = (
            "SELECT rule, subject, severity, summary, fired_at, ended_at FROM firings "
            "WHERE ended_at IS NULL OR ended_at >= ? ORDER BY fired_at, id"
        )
        return [Firing(*row) for row in self._db.execute(query, (since,))]


def load_subjects(db: sqlite3.Connection) -> dict[Subject, int]:
    return {Subject(scope, name): number for number, scope, name in db.execute("SELECT id, scope, name FROM subjects")}


def load_series(db: sqlite3.Connection) -> dict[Series, int]:
    return {
        Series(name, parse_labels(labels)): number
        for number, name, labels in db.execute("SELECT id, name, labels FROM series")
    }


def write_labels(labels: Iterable[tuple[str, str]]) -> str:
    """Labels as one text; they hold no control characters."""
    return "\n".join(f"{name}\t{text}" for name, text in sorted(labels))


def parse_labels(text: str) -> frozenset[tuple[str, str]]:
    parts = (line.partition("\t") for line in text.split("\n") if line)
    return frozenset((name, value) for name, _, value in parts)


def pack_looks(frames: Mapping[int, Mapping[int, float]]) -> bytes:
    """One moment's looks: by subject, the number of each series."""
    parts = []
    for subject, numbers in frames.items():
        count = len(numbers)
        parts.append(_FRAME.pack(subject, count))
        parts.append(struct.pack(f"<{count}H{count}d", *numbers, *numbers.values()))
    return zlib.compress(b"".join(parts), 1)


def read_looks(
    rows: Iterable[tuple[float, bytes]], subjects: Container[int] | None, wanted: Container[int] | None = None
) -> dict[int, Block]:
    """Packed looks, turned into a block for each subject."""
    blocks: dict[int, Block] = {}
    for at, data in rows:
        raw = zlib.decompress(data)
        place = 0
        while place < len(raw):
            subject, count = _FRAME.unpack_from(raw, place)
            place += _FRAME.size
            if subjects is None or subject in subjects:
                block = blocks.setdefault(subject, Block([], {}))
                _append(block, at, struct.unpack_from(f"<{count}H{count}d", raw, place), wanted)
            place += count * 10
    return blocks


def _append(block: Block, at: float, unpacked: Sequence[float], wanted: Container[int] | None) -> None:
    rows, count = len(block.times), len(unpacked) // 2
    block.times.append(at)
    for number, value in zip(unpacked[:count], unpacked[count:], strict=True):
        if wanted is None or number in wanted:
            column = block.columns.setdefault(int(number), [])
            if len(column) < rows:
                column.extend([None] * (rows - len(column)))
            column.append(value if isfinite(value) else None)
    for column in block.columns.values():
        if len(column) <= rows:
            column.append(None)


class Store:
    """Writes the file; one thread uses it. Raises FileError; a failed write leaves the file as it was."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise
        self.subjects = load_subjects(self._db)
        self.series = load_series(self._db)

    def close(self) -> None:
        self._db.close()

    def subject_id(self, subject: Subject) -> int:
        if subject not in self.subjects:
            query = "INSERT INTO subjects (scope, name) VALUES (?, ?)"
            self.subjects[subject] = self._db.execute(query, subject).lastrowid or 0
        return self.subjects[subject]

    def series_id(self, series: Series) -> int | None:
        """The series' number; None where there are too many."""
        found = self.series.get(series)
        if found is None and len(self.series) < MAX_SERIES:
            query = "INSERT INTO series (name, labels) VALUES (?, ?)"
            found = self._db.execute(query, (series.name, write_labels(series.labels))).lastrowid or 0
            self.series[series] = found
        return found

    def add_looks(self, at: float, frames: Mapping[int, Mapping[int, float]]) -> None:
        crowds: dict[int, dict[int, Mapping[int, float]]] = {}
        for subject, numbers in frames.items():
            crowds.setdefault(subject // GROUP, {})[subject] = numbers
        rows = [(crowd, at, pack_looks(part)) for crowd, part in crowds.items()]
        self._db.executemany("INSERT INTO looks (crowd, at, data) VALUES (?, ?, ?)", rows)

    def crowds(self) -> list[int]:
        return [row[0] for row in self._db.execute("SELECT DISTINCT crowd FROM looks")]

    def find_foldable(self, crowd: int, seconds: float, most: int) -> int | None:
        """The last row of a crowd's oldest hour, where looks of another follow it or there are more than `most`."""
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

    def read_looks(self, crowd: int, last: int, subjects: Container[int]) -> dict[int, Block]:
        """The looks of some subjects of a crowd up to a row."""
        query = "SELECT at, data FROM looks WHERE crowd = ? AND id <= ? ORDER BY id"
        return read_looks(self._db.execute(query, (crowd, last)), subjects)

    def fold(self, crowd: int, last: int, folded: Mapping[int, tuple[Block, bytes, bytes]], slot: float) -> None:
        """Puts blocks and summaries in the place of a crowd's looks up to a row."""
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
        """Gives free pages back to the disk, a few at a time; False where it has few."""
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
        """All that is written within, or nothing; one within another is part of it."""
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

    def _prepare(self) -> None:
        is_new = self._db.execute("PRAGMA page_count").fetchone()[0] == 0
        if is_new:
            self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._db.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last looks, and never the file; a kill costs nothing.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(f"PRAGMA journal_size_limit = {4 * 2**20}")
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        elif found != FORMAT:
            raise sqlite3.DatabaseError(f"written by another version of peerwatch (format {found}, not {FORMAT})")
        self._db.execute("SELECT count(*) FROM (SELECT id FROM looks ORDER BY id DESC LIMIT 1)").fetchone()


def read_block(span: Span, wanted: Container[int] | None = None) -> Block:
    """A stored block's content."""
    return decode(span.data, wanted)
