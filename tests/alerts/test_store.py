"""The database: what is written together, what is due first, what survives."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.delivery.queue import Queue
from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState
from alerts.messages.single import Message
from alerts.store import KEPT_EVENTS, Store, StoreError

KEY = Key("PeerDown", "a")
STATES = AlertStates({KEY: AlertState("firing", "critical", 5.0, "gone")}, {KEY: {"runs": [[1, 2]]}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alerts.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def _nothing() -> None:
    pass


def test_states_and_memories_survive(path: Path, store: Store) -> None:
    store.commit(AlertStates(), STATES, [], _nothing)
    store.close()
    again = Store(path)
    assert again.load() == STATES
    again.commit(STATES, AlertStates(), [], _nothing)
    assert again.load() == AlertStates({}, {})
    again.close()


def test_a_failed_write_leaves_nothing(store: Store) -> None:
    bad = Event(KEY, "firing", float("nan"), 0, "critical", "")  # SQLite stores NaN as NULL, which `at` refuses
    with pytest.raises(sqlite3.IntegrityError):
        store.commit(AlertStates(), STATES, [(bad, Message("t", "b"))], _nothing)
    assert store.load() == AlertStates({}, {})


def test_old_events_are_forgotten(store: Store) -> None:
    event = Event(KEY, "firing", 1, 1, "critical", "gone")
    store.commit(
        AlertStates(), AlertStates(), [(event, Message("a", "")), *[(event, Message("b", ""))] * KEPT_EVENTS], _nothing
    )
    assert {one["title"] for one in store.events(limit=10 * KEPT_EVENTS)} == {"b"}


def test_a_damaged_database_is_kept_and_a_new_one_started(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(b"this is not a database, however long it may be" * 100)
    store = Store(path)
    assert store.load() == AlertStates({}, {})
    store.close()
    assert "is damaged" in caplog.text
    assert path.with_name("alerts.sqlite.damaged-1").read_bytes().startswith(b"this is not")


def test_a_database_of_another_version_is_left_alone(path: Path, store: Store) -> None:
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="another version"):
        Store(path)


def test_a_database_of_the_first_format_keeps_its_alerts_and_what_waits(path: Path) -> None:
    state = '{"phase": "firing", "severity": "critical", "since": 5.0, "summary": "gone", "held_seconds": 1.0}'
    with sqlite3.connect(path) as db:
        db.executescript(
            f"""
            CREATE TABLE alerts (rule TEXT, peer TEXT, state TEXT NOT NULL, PRIMARY KEY (rule, peer)) WITHOUT ROWID;
            CREATE TABLE memories (rule TEXT, peer TEXT, memory TEXT NOT NULL, PRIMARY KEY (rule, peer)) WITHOUT ROWID;
            CREATE TABLE events (
                id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, rule TEXT NOT NULL, peer TEXT NOT NULL,
                kind TEXT NOT NULL, severity TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL
            );
            CREATE TABLE deliveries (
                id INTEGER PRIMARY KEY AUTOINCREMENT, event INTEGER NOT NULL, route TEXT NOT NULL, rule TEXT NOT NULL,
                peer TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'pending', created_at REAL NOT NULL,
                attempts INTEGER NOT NULL DEFAULT 0, not_before REAL NOT NULL DEFAULT 0,
                held_until REAL NOT NULL DEFAULT 0
            );
            INSERT INTO alerts VALUES ('PeerDown', 'a', '{state}');
            INSERT INTO events VALUES (7, 5.0, 'PeerDown', 'a', 'firing', 'critical', 'PeerDown: a', 'gone');
            INSERT INTO deliveries (event, route, rule, peer, state, created_at) VALUES
                (7, 'hook', 'PeerDown', 'a', 'pending', 5.0), (7, 'mail', 'PeerDown', 'a', 'delivered', 5.0);
            PRAGMA user_version = 1;
            """
        )
    db.close()
    store = Store(path)
    queue = Queue(store)
    assert store.load().states[KEY].phase == "firing"
    assert queue.load_state().notified == {"hook": frozenset({KEY}), "mail": frozenset({KEY})}
    delivery = queue.next_delivery("hook")
    assert delivery is not None
    assert (delivery.message.title, delivery.message.body) == ("PeerDown: a", "gone")
    assert queue.next_delivery("mail") is None
    store.close()
    Store(path).close()
