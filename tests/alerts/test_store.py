"""The database: what is written together, what is due first, what survives."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.evaluate import Event, Key, Standing
from alerts.messages import Message
from alerts.state import AlertState, Kind
from alerts.store import KEPT_EVENTS, Store, StoreError

Routes = tuple[str, ...]
KEY = Key("PeerDown", "a")
OTHER = Key("PeerDown", "b")
STANDING = Standing({KEY: AlertState("firing", "critical", 5.0, "gone")}, {KEY: {"runs": [[1, 2]]}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alerts.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def _tell(store: Store, key: Key, kind: Kind = "firing", *, routes: Routes = ("hook",), now: float = 0) -> None:
    event = Event(key, kind, now, now, "critical", "gone")
    store.commit(Standing(), Standing(), [(event, Message(f"{kind} {key.peer}", "body"))], routes, now)


def _due(store: Store, route: str = "hook") -> str | None:
    delivery = store.next_delivery(route)
    return delivery.title if delivery else None


def _take(store: Store, route: str = "hook") -> str:
    delivery = store.next_delivery(route)
    assert delivery is not None
    store.mark_delivered(delivery.id)
    return delivery.title


def test_states_and_memories_survive(path: Path, store: Store) -> None:
    store.commit(Standing(), STANDING, [], [], 0)
    store.close()
    again = Store(path)
    assert again.load() == STANDING
    again.commit(STANDING, Standing(), [], [], 0)
    assert again.load() == Standing({}, {})
    again.close()


def test_a_failed_write_leaves_neither_state_nor_delivery(store: Store) -> None:
    bad = Event(KEY, "firing", float("nan"), 0, "critical", "")  # SQLite stores NaN as NULL, which `at` refuses
    with pytest.raises(sqlite3.IntegrityError):
        store.commit(Standing(), STANDING, [(bad, Message("t", "b"))], ["hook"], 0)
    assert store.load() == Standing({}, {})
    assert _due(store) is None


def test_each_route_gets_its_own_delivery(store: Store) -> None:
    _tell(store, KEY, routes=("hook", "mail"))
    assert _take(store, "hook") == "firing a"
    assert _due(store, "hook") is None
    assert _due(store, "mail") == "firing a"


def test_a_recovery_waits_for_its_firing_but_another_alert_goes_ahead(store: Store) -> None:
    _tell(store, KEY)
    _tell(store, KEY, "resolved")
    _tell(store, OTHER)
    first = store.next_delivery("hook")
    assert first is not None
    store.mark_failed(first.id, 100)
    assert _take(store) == "firing b"
    assert _due(store) == "firing a"
    assert _take(store) == "firing a"
    assert _take(store) == "resolved a"


def test_nobody_is_reminded_of_what_they_were_not_told(store: Store) -> None:
    _tell(store, KEY, routes=("hook", "mail"))
    _take(store, "hook")
    _tell(store, KEY, "reminder", routes=("hook", "mail"))
    assert _take(store, "hook") == "reminder a"
    assert _take(store, "mail") == "firing a"
    assert _due(store, "mail") is None


def test_a_pause_that_the_service_asked_for_outlives_a_release(store: Store) -> None:
    _tell(store, KEY)
    _tell(store, OTHER, routes=("mail",))
    for route in ("hook", "mail"):
        delivery = store.next_delivery(route)
        assert delivery is not None
        store.mark_failed(delivery.id, 50)
    store.hold_route("hook", 80)
    for route, due_at in (("hook", 80), ("mail", 0)):
        store.release_route(route)
        delivery = store.next_delivery(route)
        assert delivery is not None
        assert delivery.due_at == due_at


def test_what_is_too_old_or_has_no_route_is_given_up_and_counted(store: Store) -> None:
    _tell(store, KEY, routes=("hook", "gone"), now=100)
    _tell(store, OTHER, now=900)
    assert store.expire(500, ["hook"]) == [("gone", 1), ("hook", 1)]
    assert store.expire(500, ["hook"]) == []
    assert _due(store) == "firing b"
    assert store.count_deliveries() == {"gone": {"expired": 1}, "hook": {"expired": 1, "pending": 1}}


def test_old_events_are_forgotten_unless_they_still_have_to_be_delivered(store: Store) -> None:
    _tell(store, KEY)
    event = Event(OTHER, "firing", 1, 1, "critical", "gone")
    store.commit(Standing(), Standing(), [(event, Message("b", ""))] * (KEPT_EVENTS + 5), [], 1)
    titles = [event["title"] for event in store.events(limit=10 * KEPT_EVENTS)]
    assert titles == ["firing a", *["b"] * KEPT_EVENTS]


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
