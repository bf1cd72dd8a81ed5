"""Reads history.sqlite while the recorder writes it."""

import logging
import sqlite3
from collections.abc import Collection, Container, Iterable, Iterator
from pathlib import Path

from alerts.history.block import Block, decode
from alerts.history.packing import read_samples
from alerts.history.samples import SeriesName, Subject
from alerts.history.store import FORMAT, GROUP, FileError, Firing, Span, load_series, load_subjects
from exporter.files.database import Damaged, Unavailable, connect_beside_writer, describe_error, explain

log = logging.getLogger(__name__)


class Archive:
    """Reads the file. Raises FileNotFoundError where there is none, FileError where it cannot be read.

    Within `with`, every failure is one of the file: it holds nothing but what the recorder wrote.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._db = connect_beside_writer(path)
        except (Unavailable, Damaged) as error:
            if not path.exists():
                raise FileNotFoundError(path) from error
            raise self._describe(error) from error
        try:
            if self._db.execute("PRAGMA user_version").fetchone()[0] != FORMAT.version:
                raise FileNotFoundError(f"{path} is incomplete, or was written by another version of peerwatch")
            self.subjects: dict[Subject, int] = load_subjects(self._db)
            self.series: dict[int, SeriesName] = {number: series for series, number in load_series(self._db).items()}
        except FileNotFoundError:
            self._db.close()
            raise
        except Exception as error:
            self._db.close()
            raise self._describe(error) from error

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> "Archive":
        # One snapshot for all reads: an hour that is folded meanwhile is neither lost nor read twice.
        try:
            self._db.execute("BEGIN")
        except sqlite3.Error as error:
            self.close()
            raise self._describe(error) from error
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self.close()
        if isinstance(error, Exception) and not isinstance(error, FileError):
            raise self._describe(error) from error

    def _describe(self, error: Exception) -> FileError:
        fault = explain(error, self._path) or Damaged(describe_error(error))
        return FileError(f"{self._path}: {fault}", is_damage=isinstance(fault, Damaged))

    def begins(self) -> float | None:
        """The time of the oldest sample."""
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
        """Up to when the history is thinned."""
        found: float | None = self._db.execute("SELECT max(ends) FROM blocks WHERE is_thin").fetchone()[0]
        return found

    def blocks(self, subject: int, since: float) -> Iterator[Span]:
        """The blocks that reach past `since`, in the order in which they were recorded."""
        query = "SELECT id, subject, begins, ends, data FROM blocks WHERE subject = ? AND ends >= ? ORDER BY id"
        return (Span(*row) for row in self._db.execute(query, (subject, since)))

    def summaries(self, subject: int, slot_seconds: float, since: float) -> Iterator[Span]:
        query = (
            "SELECT id, subject, begins, ends, data FROM summaries "
            "WHERE subject = ? AND slot_seconds = ? AND ends >= ? ORDER BY begins"
        )
        return (Span(*row) for row in self._db.execute(query, (subject, slot_seconds, since)))

    def open_blocks(
        self, subjects: Collection[int], wanted: Container[int] | None = None, since: float = 0.0
    ) -> dict[int, Block]:
        """The samples that are not in a block yet, by subject, with the wanted series."""
        crowds = sorted({subject // GROUP for subject in subjects})
        query = f"SELECT at, data FROM looks WHERE crowd IN ({','.join('?' * len(crowds))}) AND at >= ? ORDER BY id"
        return read_samples(self._db.execute(query, (*crowds, since)), subjects, wanted)

    def firings(self, since: float) -> list[Firing]:
        """The firings after `since`, the earliest first."""
        query = (
            "SELECT rule, subject, severity, summary, fired_at, ended_at FROM firings "
            "WHERE ended_at IS NULL OR ended_at >= ? ORDER BY fired_at, id"
        )
        return [Firing(*row) for row in self._db.execute(query, (since,))]


def read_blocks(spans: Iterable[Span], wanted: Container[int] | None = None) -> Iterator[tuple[Span, Block]]:
    """The content of stored blocks; a damaged one is skipped, so that it costs only its own hour."""
    for span in spans:
        try:
            yield span, decode(span.data, wanted)
        except ValueError:
            log.warning("history: damaged block from %.0f to %.0f skipped", span.begins, span.ends)
