"""The alert loop's SQLite database: alert states, rule memories, events, and the tables of other modules.

One transaction commits a transition together with its news, and `synchronous=FULL` puts it on the disk before anything
is sent; so a kill or a power cut at any instant loses no notification. Times are epoch seconds.
"""

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState
from alerts.messages.single import Message

VERSION = 5
KEPT_EVENTS = 1000
_SCHEMA = """
CREATE TABLE alerts (rule TEXT, peer TEXT, state TEXT NOT NULL, PRIMARY KEY (rule, peer)) WITHOUT ROWID;
CREATE TABLE memories (rule TEXT, peer TEXT, memory TEXT NOT NULL, PRIMARY KEY (rule, peer)) WITHOUT ROWID;
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, rule TEXT NOT NULL, peer TEXT NOT NULL,
    kind TEXT NOT NULL, severity TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL
);
"""
# A notification is the unit that is sent; `news` holds the events in it, or those that are not in one yet.
_DELIVERY_SCHEMA = """
CREATE TABLE notifications (
    id INTEGER PRIMARY KEY AUTOINCREMENT, route TEXT NOT NULL, topic TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending', title TEXT NOT NULL, body TEXT NOT NULL,
    created_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,  -- our own back-off after a failure
    held_until REAL NOT NULL DEFAULT 0,  -- the pause that the service asked for
    overtaken INTEGER NOT NULL DEFAULT 0 -- it failed, and a later one was accepted: the fault may be its own
);
CREATE INDEX pending_notifications ON notifications (route, id) WHERE state = 'pending';
CREATE INDEX notifications_of_topic ON notifications (route, topic, created_at);
CREATE TABLE news (
    id INTEGER PRIMARY KEY AUTOINCREMENT, route TEXT NOT NULL, rule TEXT NOT NULL, peer TEXT NOT NULL,
    event TEXT NOT NULL, queued_at REAL NOT NULL, held INTEGER NOT NULL DEFAULT 0,
    notification INTEGER REFERENCES notifications (id) ON DELETE CASCADE
);
CREATE INDEX waiting_news ON news (route, id) WHERE notification IS NULL;
CREATE INDEX news_of_notification ON news (notification);
CREATE INDEX news_of_alert ON news (route, rule, peer);
CREATE TABLE told (route TEXT, rule TEXT, peer TEXT, PRIMARY KEY (route, rule, peer)) WITHOUT ROWID;
CREATE TABLE silences (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rule TEXT NOT NULL, peer TEXT NOT NULL, severity TEXT NOT NULL,
    ends_at REAL NOT NULL, comment TEXT NOT NULL
);
CREATE TABLE acknowledged (rule TEXT, peer TEXT, PRIMARY KEY (rule, peer)) WITHOUT ROWID;
CREATE TABLE marks (name TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
"""
_EVIDENCE_SCHEMA = """
CREATE TABLE evidence (rule TEXT, peer TEXT, text TEXT NOT NULL, PRIMARY KEY (rule, peer)) WITHOUT ROWID;
"""
_RESTARTS_SCHEMA = "CREATE TABLE restarts (peer TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;"
# Format 1 had one delivery per event and route; a pending one counts as notified.
_FROM_1 = """
INSERT INTO notifications (route, topic, title, body, created_at, attempts, not_before, held_until)
SELECT d.route, '', e.title, e.body, d.created_at, d.attempts, d.not_before, d.held_until
FROM deliveries d JOIN events e ON e.id = d.event WHERE d.state = 'pending' ORDER BY d.id;
INSERT OR IGNORE INTO told (route, rule, peer)
SELECT DISTINCT d.route, a.rule, a.peer FROM deliveries d, alerts a WHERE json_extract(a.state, '$.phase') = 'firing';
DROP TABLE deliveries;
"""
_HTML_COLUMN = "ALTER TABLE notifications ADD COLUMN html TEXT NOT NULL DEFAULT '';"
# What was added to each format; formats 0 and 1 had no delivery as it is now.
_ADDED = {0: _SCHEMA + _DELIVERY_SCHEMA, 1: _DELIVERY_SCHEMA + _FROM_1}
_ADDED_LATER = {2: _EVIDENCE_SCHEMA, 3: _RESTARTS_SCHEMA, 4: _HTML_COLUMN}
_STEPS = {
    version: _ADDED.get(version, "") + "".join(step for since, step in _ADDED_LATER.items() if since >= version)
    for version in range(VERSION + 1)
}

log = logging.getLogger(__name__)


class StoreError(Exception):
    """The database cannot be opened; the text names it and the reason."""


class Store:
    """The database. Only the loop's thread uses it."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = _open(path)
        except (sqlite3.OperationalError, OSError) as error:
            raise StoreError(f"{path}: {error}") from error
        except sqlite3.DatabaseError as error:
            # A monitor that does not start alerts on nothing, so it starts with a new database and logs the loss.
            aside = _move_aside(path)
            log.error(
                "%s is damaged (%s): kept as %s; alert states and pending notifications are lost", path, error, aside
            )
            self._db = _open(path)

    def close(self) -> None:
        self._db.close()

    def load(self) -> AlertStates:
        """The alert states of the last commit."""
        states = {
            Key(rule, peer): AlertState(**json.loads(state))
            for rule, peer, state in self._db.execute("SELECT rule, peer, state FROM alerts")
        }
        memories = {
            Key(rule, peer): json.loads(memory)
            for rule, peer, memory in self._db.execute("SELECT rule, peer, memory FROM memories")
        }
        return AlertStates(states, memories)

    def commit(
        self,
        before: AlertStates,
        after: AlertStates,
        events: Iterable[tuple[Event, Message]],
        write_news: Callable[[], None],
    ) -> None:
        """Writes an evaluation and its events with their messages, and what `write_news` writes: all or nothing."""
        with self.transaction():
            self._replace("alerts", "state", before.states, after.states, asdict)
            self._replace("memories", "memory", before.memories, after.memories, dict)
            for event, message in events:
                self._add_event(event, message)
            write_news()

    def events(self, limit: int = 200) -> list[dict[str, Any]]:
        """The latest events, the newest last."""
        rows = self._db.execute(
            "SELECT id, at, rule, peer, kind, severity, title, body FROM events ORDER BY id DESC LIMIT ?", (limit,)
        )
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row, strict=True)) for row in reversed(rows.fetchall())]

    def execute(self, query: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        return self._db.execute(query, tuple(values))

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
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _replace(self, table: str, column: str, before: Any, after: Any, encode: Any) -> None:
        """Writes the rows that differ between two mappings by Key."""
        gone = [tuple(key) for key in before if key not in after]
        changed = [(*key, json.dumps(encode(value))) for key, value in after.items() if before.get(key) != value]
        self._db.executemany(f"DELETE FROM {table} WHERE rule = ? AND peer = ?", gone)
        self._db.executemany(f"INSERT OR REPLACE INTO {table} (rule, peer, {column}) VALUES (?, ?, ?)", changed)

    def _add_event(self, event: Event, message: Message) -> None:
        cursor = self._db.execute(
            "INSERT INTO events (at, rule, peer, kind, severity, title, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (event.at, *event.key, event.kind, event.severity, message.title, message.body),
        )
        self._db.execute("DELETE FROM events WHERE id <= ?", ((cursor.lastrowid or 0) - KEPT_EVENTS,))


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version not in _STEPS:
            raise sqlite3.OperationalError(f"written by another version of peerwatch (format {version}, not {VERSION})")
        if version != VERSION:
            db.executescript(f"BEGIN IMMEDIATE; {_STEPS[version]} PRAGMA user_version = {VERSION}; COMMIT;")
    except BaseException:
        db.close()
        raise
    return db


def _move_aside(path: Path) -> Path:
    """Renames a damaged database with its write-ahead log to the first free name."""
    number = next(n for n in range(1, 10_000) if not path.with_name(f"{path.name}.damaged-{n}").exists())
    aside = path.with_name(f"{path.name}.damaged-{number}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
