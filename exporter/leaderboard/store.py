"""The board in SQLite: one row for each peer, and one for the swarm's position."""

import contextlib
import json
import logging
import sqlite3
from pathlib import Path

from exporter.files.database import (
    Damaged,
    Format,
    Unavailable,
    connect,
    connect_read_only,
    describe_error,
    explain,
    identify,
    set_aside,
)
from exporter.leaderboard.board import Board, Peer
from exporter.leaderboard.position import Position
from trainer.protocol import RoundAndStage, is_peer_id

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE peers (
    id TEXT PRIMARY KEY, settled REAL NOT NULL, open TEXT NOT NULL, round INTEGER NOT NULL, stage INTEGER NOT NULL,
    stage_reward REAL NOT NULL, stamp REAL NOT NULL, not_before REAL NOT NULL, last_seen REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE position (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, round INTEGER NOT NULL, stage INTEGER NOT NULL,
    stages INTEGER NOT NULL, open_round INTEGER NOT NULL, open_stage INTEGER NOT NULL
);
"""


FORMAT = Format(kind=3, version=SCHEMA_VERSION, steps={0: _SCHEMA}, largest=1e18, kept=3, synchronous="NORMAL")

_log = logging.getLogger("leaderboard")


class StoreFailed(Exception):
    """The database cannot be read or written; the text says why in one line."""


class Store:
    """The database file. One thread at a time uses it; a kill at any instant leaves the last saved board.

    The board in memory is whole, so a file that is damaged or deleted is written again from it. `set_aside_count` is
    how many damaged files were set aside.
    """

    def __init__(self, path: Path) -> None:
        """Raises StoreFailed where the file cannot be read, though it may be good."""
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._files: tuple[tuple[int, int] | None, ...] = ()
        self._is_behind = False
        self.set_aside_count = 0
        self._loaded = Board({}), Position()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._loaded = self._read()
        except OSError as error:
            raise StoreFailed(f"{path}: {error.strerror}") from None
        except Unavailable as error:
            raise StoreFailed(_name(path, error)) from None
        except Damaged as error:
            try:
                self._start_again(error)
            except Unavailable as obstacle:
                _log.error("%s is damaged (%s), and cannot be replaced: %s", path, error, obstacle)

    def load(self) -> tuple[Board, Position]:
        """The board that was saved when the file was opened; empty if the file was damaged."""
        return self._loaded

    def save(self, board: Board, position: Position) -> None:
        """Writes what changed, or everything to a new file; all of it or nothing. Raises StoreFailed."""
        try:
            self._save(board, position)
        except Unavailable as error:
            raise StoreFailed(_name(self._path, error)) from None
        except Damaged as error:
            try:
                self._start_again(error)
                self._save(board, position)
            except (Unavailable, Damaged) as second:
                raise StoreFailed(_name(self._path, second)) from None
        board.saved()

    def size_bytes(self) -> int:
        """Of the database and its write-ahead log, on disk."""
        size = 0
        for file in (self._path, self._path.with_name(f"{self._path.name}-wal")):
            with contextlib.suppress(OSError):
                size += file.stat().st_size
        return size

    def close(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
        self._database = None

    def _read(self) -> tuple[Board, Position]:
        """Opens the file; one on a full or read-only disk is read, and written later. Raises Unavailable, Damaged."""
        try:
            self._open()
            assert self._database is not None
            return _load(self._database, self._path)
        except Unavailable as error:
            if not error.is_disk:
                raise
            _log.error("the board cannot be saved, and is kept in memory: %s", _name(self._path, error))
            self._is_behind = True
            if not self._path.exists():
                return Board({}), Position()
            source = connect_read_only(self._path, FORMAT)
            try:
                return _load(source, self._path)
            finally:
                source.close()

    def _save(self, board: Board, position: Position) -> None:
        if self._database is not None and identify(self._path) != self._files:
            self.close()
            if self._path.exists():
                aside = set_aside(self._path, FORMAT, word="replaced")
                _log.error("%s was replaced while it was in use: the other file is kept as %s", self._path, aside.name)
            else:
                _log.error("%s was deleted while it was in use: it is written again", self._path)
        if self._database is None:
            self._is_behind = True
            self._open()
        assert self._database is not None
        try:
            self._write(self._database, board, position)
        except Exception as error:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error | UnicodeDecodeError):
                raise StoreFailed(f"{self._path}: {describe_error(error)}") from error
            raise explain(error, self._path) or Damaged(describe_error(error)) from error
        self._is_behind = False

    def _write(self, database: sqlite3.Connection, board: Board, position: Position) -> None:
        database.execute("BEGIN IMMEDIATE")
        if self._is_behind:
            database.execute("DELETE FROM peers")
        database.executemany("DELETE FROM peers WHERE id = ?", [(peer_id,) for peer_id in board.gone])
        database.executemany(
            "INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(peer_id, *_row(board.peers[peer_id])) for peer_id in (board.peers if self._is_behind else board.dirty)],
        )
        if position.frontier is not None:
            database.execute(
                "INSERT OR REPLACE INTO position VALUES (1, ?, ?, ?, ?, ?, ?)",
                (position.epoch, *position.frontier, position.stages, *board.open_from),
            )
        database.execute("COMMIT")

    def _start_again(self, fault: Damaged) -> None:
        """Sets the damaged file aside and opens a new one. Raises Unavailable, Damaged."""
        self.close()
        try:
            aside = set_aside(self._path, FORMAT)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}", is_disk=True) from None
        self.set_aside_count += 1
        _log.error("%s is damaged (%s): kept as %s; a new one is started", self._path, fault, aside.name)
        self._is_behind = True
        self._open()

    def _open(self) -> None:
        self._database = connect(self._path, FORMAT)
        self._files = identify(self._path)


def _load(database: sqlite3.Connection, path: Path) -> tuple[Board, Position]:
    """The saved board. Raises Unavailable, Damaged."""
    try:
        rows = database.execute(
            "SELECT id, settled, open, round, stage, stage_reward, stamp, not_before, last_seen FROM peers"
        ).fetchall()
        saved = database.execute("SELECT epoch, round, stage, stages, open_round, open_stage FROM position").fetchone()
        peers = {row[0]: _peer(row) for row in rows}
    except Exception as error:
        raise explain(error, path) or Damaged(describe_error(error)) from error
    if saved is None:
        return Board(peers), Position()
    epoch, round_number, stage, stages, open_round, open_stage = saved
    position = Position(RoundAndStage(round_number, stage), epoch, stages)
    return Board(peers, RoundAndStage(open_round, open_stage)), position


def _name(path: Path, fault: Exception) -> str:
    text = str(fault)
    return text if str(path.parent) in text else f"{path}: {text}"


def _row(peer: Peer) -> tuple[object, ...]:
    open_stages = json.dumps([[*place, value] for place, value in peer.open.items()])
    return (peer.settled, open_stages, *peer.stage, peer.stage_reward, peer.stamp, peer.not_before, peer.last_seen)


def _peer(row: tuple[str, float, str, int, int, float, float, float, float]) -> Peer:
    """Raises ValueError, TypeError for what was not written by `_row`."""
    peer_id, settled, open_text, round_number, stage, stage_reward, stamp, not_before, last_seen = row
    if not is_peer_id(peer_id):
        raise ValueError("not a peer id")
    open_stages = {RoundAndStage(number, at): value for number, at, value in json.loads(open_text)}
    for (number, at), value in open_stages.items():
        if type(number) is not int or type(at) is not int or not abs(value) <= FORMAT.largest:
            raise ValueError("not an open stage")
    return Peer(
        settled=settled,
        open=open_stages,
        stage=RoundAndStage(round_number, stage),
        stage_reward=stage_reward,
        stamp=stamp,
        not_before=not_before,
        last_seen=last_seen,
    )
