"""The database: what is written together, what is due first, what survives."""

import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.delivery.queue import Queue
from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState
from alerts.messages.single import Message
from alerts.schema import FORMAT
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


def _execute(path: Path, script: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(script)
    db.close()


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
    assert store.aside is not None
    assert store.aside.read_bytes().startswith(b"this is not")
    assert store.is_lost


def test_a_database_of_a_newer_version_is_left_alone(path: Path, store: Store) -> None:
    store.close()
    _execute(path, f"PRAGMA user_version = 99; PRAGMA application_id = {FORMAT.application_id(99)}")
    with pytest.raises(StoreError, match=r"newer version of Peerwatch \(format 99; this one reads up to 5\); update"):
        Store(path)


@pytest.mark.parametrize("number", [0, 7, 99, -5, 2**31 - 1])
def test_a_damaged_version_number_is_not_taken_for_a_newer_version(path: Path, store: Store, number: int) -> None:
    store.commit(AlertStates(), STATES, [], _nothing)
    store.close()
    _execute(path, f"PRAGMA user_version = {number}")
    again = Store(path)
    again.close()
    assert again.set_aside_count == 1


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


def test_what_is_in_memory_is_written_again_when_the_file_was_deleted(
    path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.commit(AlertStates(), STATES, [], _nothing)
    for part in path.parent.iterdir():
        part.unlink()
    store.commit(STATES, STATES, [], _nothing)
    assert "was deleted while it was in use" in caplog.text
    assert _reopened(path, store).load() == STATES


def test_a_log_that_was_deleted_is_noticed_too(path: Path, store: Store) -> None:
    path.with_name("alerts.sqlite-wal").unlink()
    store.commit(AlertStates(), STATES, [], _nothing)
    assert _reopened(path, store).load() == STATES


def test_a_file_that_took_its_place_is_kept(path: Path, store: Store) -> None:
    store.commit(AlertStates(), STATES, [], _nothing)
    path.with_name("other").write_text("something of somebody's")
    path.with_name("other").rename(path)
    store.commit(STATES, STATES, [], _nothing)
    (aside,) = path.parent.glob("alerts.sqlite.replaced-*Z")
    assert aside.read_text() == "something of somebody's"
    assert _reopened(path, store).load() == STATES


def test_damage_while_it_runs_loses_nothing(path: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(store)
    queue.post("hook", "", [Message("first", "waits")], 1.0)
    store.commit(AlertStates(), STATES, [], _nothing)
    _execute(path, "DROP TABLE notifications; DROP TABLE alerts")
    queue.post("hook", "", [Message("second", "waits too")], 2.0)
    assert "nothing is lost" in caplog.text
    again = _reopened(path, store)
    assert again.load() == STATES
    assert Queue(again).count_deliveries() == {"hook": {"pending": 2}}
    assert not again.is_lost


def test_a_damaged_row_is_found_before_it_is_used(path: Path, store: Store) -> None:
    rows = {
        "a time that is a text": "UPDATE alerts SET state = replace(state, '5.0', '\"five\"')",
        "not JSON": "UPDATE alerts SET state = '{'",
        "a null": "UPDATE alerts SET state = 'null'",
        "another phase": "UPDATE alerts SET state = replace(state, 'firing', 'forgot')",
        "a time past every calendar": "UPDATE alerts SET state = replace(state, '5.0', '1e300')",
        "not UTF-8": "UPDATE alerts SET state = CAST(x'7bff7d' AS TEXT)",
        "nested too deep": f"UPDATE memories SET memory = '{'[' * 5000}'",
        "a number for a text": "UPDATE memories SET memory = x'00'",
        "an endless time": "INSERT INTO marks VALUES ('digest', 9e999)",
        "a text for a time": "INSERT INTO marks VALUES ('digest', 'now')",
        "the last row number": "INSERT INTO events VALUES (9223372036854775807, 1, 'r', 'p', 'firing', 'info', '', '')",
        "an unknown kind": "INSERT INTO events VALUES (1, 1, 'r', 'p', 'fring', 'info', '', '')",
        "news that is none": "INSERT INTO news (route, rule, peer, event, queued_at) VALUES ('r', 'r', 'p', '[]', 1)",
        "a restart that is none": "INSERT INTO restarts VALUES ('p', '{\"past\": 3}')",
        "a table that is gone": "DROP TABLE silences",
        "a column that is gone": "ALTER TABLE silences DROP COLUMN comment",
    }
    store.commit(AlertStates(), STATES, [], _nothing)
    store.close()
    good = path.read_bytes()
    for what, script in rows.items():
        path.write_bytes(good)
        _execute(path, script)
        again = Store(path)
        assert (what, again.is_lost, again.load()) == (what, True, AlertStates({}, {}))
        again.close()
    assert len(list(path.parent.glob("alerts.sqlite.damaged-*Z*"))) <= FORMAT.kept


def test_the_files_are_closed_to_other_users(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = os.umask(0o022)
    try:
        path.write_bytes(b"no database, and open to all")
        store = Store(path)
        store.commit(AlertStates(), STATES, [], _nothing)
        modes = {part.name: oct(part.stat().st_mode & 0o777) for part in path.parent.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert set(modes.values()) == {"0o600"}, modes
    assert len(modes) == 4
    assert "could be read by other users" in caplog.text


def test_a_full_disk_is_said_once_and_the_file_follows_when_there_is_room(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import logging, resource
        from pathlib import Path
        from alerts.delivery.queue import Queue
        from alerts.engine.evaluate import AlertStates
        from alerts.messages.single import Message
        from alerts.store import Store
        logging.basicConfig(level=logging.INFO)
        store = Store(Path({str(tmp_path)!r}) / "alerts.sqlite")
        queue = Queue(store)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        for number in range(30):
            if number in (5, 25):
                resource.setrlimit(resource.RLIMIT_FSIZE, (2**15 if number == 5 else hard, hard))
            queue.post("hook", "", [Message(str(number), "x" * 5000)], 1.0)
            store.commit(AlertStates(), AlertStates(), [], lambda: None)
            if number == 20:
                print(store.problem)
        print(repr(store.problem), queue.count_deliveries())
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240)
    said = done.stderr.splitlines()
    assert len(said) == 2, done.stderr
    assert "alert states cannot be written, and are kept in memory" in said[0]
    assert "are written again" in said[1]
    assert done.stdout.splitlines()[-1] == "'' {'hook': {'pending': 30}}"
    again = Store(tmp_path / "alerts.sqlite")
    assert Queue(again).count_deliveries() == {"hook": {"pending": 30}}
    again.close()


def _reopened(path: Path, store: Store) -> Store:
    """A copy of what a loop would find that is started after this one was killed."""
    folder = path.parent / "copy"
    folder.mkdir()
    for suffix in ("", "-wal"):
        (folder / (path.name + suffix)).write_bytes(path.with_name(path.name + suffix).read_bytes())
    store.close()
    return Store(folder / path.name)
