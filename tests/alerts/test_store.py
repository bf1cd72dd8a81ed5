"""The database: what is written together, what is due first, what survives."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.evaluate import Event, Key, Standing
from alerts.messages import Message
from alerts.state import AlertState
from alerts.store import KEPT_EVENTS, Store, StoreError

KEY = Key("PeerDown", "a")
STANDING = Standing({KEY: AlertState("firing", "critical", 5.0, "gone")}, {KEY: {"runs": [[1, 2]]}})


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
    store.commit(Standing(), STANDING, [], _nothing)
    store.close()
    again = Store(path)
    assert again.load() == STANDING
    again.commit(STANDING, Standing(), [], _nothing)
    assert again.load() == Standing({}, {})
    again.close()


def test_a_failed_write_leaves_nothing(store: Store) -> None:
    bad = Event(KEY, "firing", float("nan"), 0, "critical", "")  # SQLite stores NaN as NULL, which `at` refuses
    with pytest.raises(sqlite3.IntegrityError):
        store.commit(Standing(), STANDING, [(bad, Message("t", "b"))], _nothing)
    assert store.load() == Standing({}, {})


def test_old_events_are_forgotten(store: Store) -> None:
    event = Event(KEY, "firing", 1, 1, "critical", "gone")
    store.commit(
        Standing(), Standing(), [(event, Message("a", "")), *[(event, Message("b", ""))] * KEPT_EVENTS], _nothing
    )
    assert {one["title"] for one in store.events(limit=10 * KEPT_EVENTS)} == {"b"}


def test_a_damaged_database_is_kept_aside_and_a_new_one_begun(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(b"this is not a database, however long it may be" * 100)
    store = Store(path)
    assert store.load() == Standing({}, {})
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
