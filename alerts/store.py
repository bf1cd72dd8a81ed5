"""The alert loop's one SQLite database: alert states, rule memories, events and their deliveries.

One transaction writes a transition together with the deliveries it causes, and `synchronous=FULL` puts it on the disk
before anything is sent; so a kill or a power cut at any instant loses no notification. Times are epoch seconds.
"""

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from alerts.evaluate import Event, Key, Standing
from alerts.messages import Message
from alerts.state import AlertState

VERSION = 1
KEPT_EVENTS = 1000
_SCHEMA = """
CREATE TABLE alerts (rule TEXT, peer TEXT, state TEXT NOT NULL, PRIMARY KEY (rule, peer)) WITHOUT ROWID;
CREATE TABLE memories (rule TEXT, peer TEXT, memory TEXT NOT NULL, PRIMARY KEY (rule, peer)) WITHOUT ROWID;
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, rule TEXT NOT NULL, peer TEXT NOT NULL,
    kind TEXT NOT NULL, severity TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event INTEGER NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    route TEXT NOT NULL, rule TEXT NOT NULL, peer TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'pending',
    created_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,  -- our own patience after a failure
    held_until REAL NOT NULL DEFAULT 0   -- the pause that the service asked for
);
CREATE INDEX pending_deliveries ON deliveries (route, id) WHERE state = 'pending';
CREATE INDEX deliveries_of_event ON deliveries (event);
"""

log = logging.getLogger(__name__)


class Delivery(NamedTuple):
    """A message on its way to one route, due at epoch seconds. `attempts` counts those that failed."""

    id: int
    route: str
    attempts: int
    due_at: float
    title: str
    body: str


class StoreError(Exception):
    """The database cannot be opened; the text names it and the reason."""


class Store:
    """The door to the database. One thread uses it: the loop's."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = _open(path)
        except (sqlite3.OperationalError, OSError) as error:
            raise StoreError(f"{path}: {error}") from error
        except sqlite3.DatabaseError as error:
            # A monitor that refuses to start warns of nothing, so it starts anew and says what it gave up.
            aside = _move_aside(path)
            log.error(
                "%s is damaged (%s): kept as %s; alert states and pending notifications are lost", path, error, aside
            )
            self._db = _open(path)

    def close(self) -> None:
        self._db.close()

    def load(self) -> Standing:
        """What was written last."""
        states = {
            Key(rule, peer): AlertState(**json.loads(state))
            for rule, peer, state in self._db.execute("SELECT rule, peer, state FROM alerts")
        }
        memories = {
            Key(rule, peer): json.loads(memory)
            for rule, peer, memory in self._db.execute("SELECT rule, peer, memory FROM memories")
        }
        return Standing(states, memories)

    def commit(
        self,
        before: Standing,
        after: Standing,
        told: Iterable[tuple[Event, Message]],
        routes: Iterable[str],
        now: float,
    ) -> list[int]:
        """Writes an evaluation, its events and one delivery per event and route; the events' ids."""
        ids = []
        with self._transaction():
            self._replace("alerts", "state", before.states, after.states, asdict)
            self._replace("memories", "memory", before.memories, after.memories, dict)
            for event, message in told:
                ids.append(self._add_event(event, message))
                for route in routes:
                    self._add_delivery(ids[-1], event, route, now)
            if ids:
                self._prune()
        return ids

    def events(self, limit: int = 200) -> list[dict[str, Any]]:
        """The latest events, the newest last."""
        rows = self._db.execute(
            "SELECT id, at, rule, peer, kind, severity, title, body FROM events ORDER BY id DESC LIMIT ?", (limit,)
        )
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row, strict=True)) for row in reversed(rows.fetchall())]

    def next_delivery(self, route: str) -> Delivery | None:
        """The route's delivery that is due first.

        Only the oldest of each alert is considered, so that a recovery never overtakes its firing.
        """
        row = self._db.execute(
            """
            SELECT d.id, d.route, d.attempts, max(d.not_before, d.held_until) AS due_at, e.title, e.body
            FROM deliveries d JOIN events e ON e.id = d.event
            WHERE d.route = ? AND d.state = 'pending' AND d.id IN (
                SELECT min(id) FROM deliveries WHERE route = ? AND state = 'pending' GROUP BY rule, peer
            )
            ORDER BY due_at, d.id LIMIT 1
            """,
            (route, route),
        ).fetchone()
        return Delivery(*row) if row else None

    def mark_delivered(self, delivery: int) -> None:
        with self._transaction():
            self._db.execute("UPDATE deliveries SET state = 'delivered' WHERE id = ?", (delivery,))

    def mark_failed(self, delivery: int, not_before: float) -> None:
        """Counts a failed attempt; the next one comes no earlier than `not_before`."""
        with self._transaction():
            self._db.execute(
                "UPDATE deliveries SET attempts = attempts + 1, not_before = ? WHERE id = ? AND state = 'pending'",
                (not_before, delivery),
            )

    def hold_route(self, route: str, until: float) -> None:
        """Delays all that waits for a route whose service asked for a pause; the next start keeps to it too."""
        with self._transaction():
            self._db.execute(
                "UPDATE deliveries SET held_until = ? WHERE route = ? AND state = 'pending'",
                (until, route),
            )

    def release_route(self, route: str) -> None:
        """Lets all that waits for a route be tried at once, except what its service asked to wait."""
        with self._transaction():
            self._db.execute(
                "UPDATE deliveries SET not_before = 0 WHERE route = ? AND state = 'pending' AND not_before > 0",
                (route,),
            )

    def expire(self, created_before: float, routes: Iterable[str]) -> list[tuple[str, int]]:
        """Gives up deliveries that are too old or whose route is no longer configured; how many per route."""
        kept = json.dumps(list(routes))
        with self._transaction():
            rows = self._db.execute(
                """
                UPDATE deliveries SET state = 'expired'
                WHERE state = 'pending' AND (created_at < ? OR route NOT IN (SELECT value FROM json_each(?)))
                RETURNING route
                """,
                (created_before, kept),
            ).fetchall()
        given_up: dict[str, int] = {}
        for (route,) in rows:
            given_up[route] = given_up.get(route, 0) + 1
        return sorted(given_up.items())

    def count_deliveries(self) -> dict[str, dict[str, int]]:
        """Deliveries on record by route and state: pending, delivered, expired."""
        counts: dict[str, dict[str, int]] = {}
        for route, state, count in self._db.execute(
            "SELECT route, state, count(*) FROM deliveries GROUP BY route, state"
        ):
            counts.setdefault(route, {})[state] = count
        return counts

    @contextmanager
    def _transaction(self) -> Iterator[None]:
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

    def _add_event(self, event: Event, message: Message) -> int:
        cursor = self._db.execute(
            "INSERT INTO events (at, rule, peer, kind, severity, title, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (event.at, *event.key, event.kind, event.severity, message.title, message.body),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _add_delivery(self, event_id: int, event: Event, route: str, now: float) -> None:
        if event.kind == "reminder" and self._is_waiting(route, event.key):
            return  # Nobody is reminded of what they were not told yet.
        self._db.execute(
            "INSERT INTO deliveries (event, route, rule, peer, created_at) VALUES (?, ?, ?, ?, ?)",
            (event_id, route, *event.key, now),
        )

    def _is_waiting(self, route: str, key: Key) -> bool:
        query = "SELECT 1 FROM deliveries WHERE state = 'pending' AND route = ? AND rule = ? AND peer = ?"
        return self._db.execute(query, (route, *key)).fetchone() is not None

    def _prune(self) -> None:
        """Forgets all but the latest events, except those that still have to be delivered."""
        self._db.execute(
            """
            DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?
            AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = events.id AND state = 'pending')
            """,
            (KEPT_EVENTS,),
        )


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
        if version == 0:
            db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version != VERSION:
            raise sqlite3.OperationalError(f"written by another version of peerwatch (format {version}, not {VERSION})")
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
