"""The board in SQLite: one row for each peer, and one for the swarm's position."""

import json
import sqlite3
from pathlib import Path

from exporter.leaderboard.board import Board, Peer
from exporter.leaderboard.position import Position
from trainer.protocol import RoundAndStage

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


class StoreFailed(Exception):
    """The database cannot be read or written; the text says why in one line."""


class Store:
    """The database file. One thread at a time uses it; a kill at any instant leaves the last saved board."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            self._prepare()
        except OSError as error:
            raise StoreFailed(f"{path}: {error.strerror}") from None
        except sqlite3.Error as error:
            raise StoreFailed(f"{path}: {error}; move the file away to start with an empty board") from None

    def load(self) -> tuple[Board, Position]:
        """The saved board. Raises StoreFailed."""
        try:
            rows = self._database.execute(
                "SELECT id, settled, open, round, stage, stage_reward, stamp, not_before, last_seen FROM peers"
            ).fetchall()
            saved = self._database.execute(
                "SELECT epoch, round, stage, stages, open_round, open_stage FROM position"
            ).fetchone()
            peers = {row[0]: _peer(row[1:]) for row in rows}
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise StoreFailed(f"{self._path}: {error}; move the file away to start with an empty board") from None
        if saved is None:
            return Board(peers), Position()
        epoch, round_number, stage, stages, open_round, open_stage = saved
        position = Position(RoundAndStage(round_number, stage), epoch, stages)
        return Board(peers, RoundAndStage(open_round, open_stage)), position

    def save(self, board: Board, position: Position) -> None:
        """Writes what changed, all of it or nothing. Raises StoreFailed."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("DELETE FROM peers WHERE id = ?", [(peer_id,) for peer_id in board.gone])
            self._database.executemany(
                "INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(peer_id, *_row(board.peers[peer_id])) for peer_id in board.dirty],
            )
            if position.frontier is not None:
                self._database.execute(
                    "INSERT OR REPLACE INTO position VALUES (1, ?, ?, ?, ?, ?, ?)",
                    (position.epoch, *position.frontier, position.stages, *board.open_from),
                )
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise StoreFailed(f"{self._path}: {error}") from None
        board.saved()

    def size_bytes(self) -> int:
        """Of the database and its write-ahead log, on disk."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        self._database.close()

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute("PRAGMA journal_size_limit = 4194304")
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            self._database.close()
            raise StoreFailed(
                f"{self._path}: written by another version of Peerwatch (schema {version}, this one reads"
                f" {SCHEMA_VERSION}); use that version, or move the file away to start with an empty board"
            )


def _row(peer: Peer) -> tuple[object, ...]:
    open_stages = json.dumps([[*place, value] for place, value in peer.open.items()])
    return (peer.settled, open_stages, *peer.stage, peer.stage_reward, peer.stamp, peer.not_before, peer.last_seen)


def _peer(row: tuple[float, str, int, int, float, float, float, float]) -> Peer:
    settled, open_text, round_number, stage, stage_reward, stamp, not_before, last_seen = row
    open_stages = {RoundAndStage(number, at): value for number, at, value in json.loads(open_text)}
    return Peer(
        settled=settled,
        open=open_stages,
        stage=RoundAndStage(round_number, stage),
        stage_reward=stage_reward,
        stamp=stamp,
        not_before=not_before,
        last_seen=last_seen,
    )
