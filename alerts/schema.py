"""The tables of the alert loop's database, from each earlier format, and what their texts may hold."""

import sqlite3
from typing import Any

from pydantic import TypeAdapter

from alerts.engine.evaluate import Event
from alerts.engine.state import AlertState
from alerts.restart_record import Record
from exporter.files.database import Damaged, Format

VERSION = 5
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

# Every REAL is a time or a duration in seconds: the year 9999 is the last one that can be shown.
_LARGEST = 253_402_300_799.0
FORMAT = Format(kind=1, version=VERSION, steps=_STEPS, largest=_LARGEST)
_JSON = {
    ("alerts", "state"): TypeAdapter[Any](AlertState),
    ("memories", "memory"): TypeAdapter[Any](dict[str, Any]),
    ("news", "event"): TypeAdapter[Any](Event),
    ("restarts", "record"): TypeAdapter[Any](Record),
}
_WORDS = {
    ("notifications", "state"): {"pending", "delivered", "expired"},
    ("events", "kind"): {"firing", "resolved", "reminder"},
    ("events", "severity"): {"critical", "warning", "info"},
}


def check_texts(db: sqlite3.Connection) -> None:
    """Whether each text that is read as more than a text is what was written. Raises Damaged."""
    for (table, column), adapter in _JSON.items():
        for (text,) in db.execute(f"SELECT {column} FROM {table}"):
            try:
                found = adapter.validate_json(text, strict=True)
            except (ValueError, RecursionError):
                raise Damaged(f"{column} in its table {table} is not what was written") from None
            fields = found.values() if isinstance(found, dict) else vars(found).values()
            if any(isinstance(value, float) and not abs(value) <= _LARGEST for value in fields):
                raise Damaged(f"{column} in its table {table} is out of range")
    for (table, column), words in _WORDS.items():
        if {word for (word,) in db.execute(f"SELECT DISTINCT {column} FROM {table}")} - words:
            raise Damaged(f"{column} in its table {table} is not what was written")
