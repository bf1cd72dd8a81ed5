"""Damaged databases end nothing: what is damaged is set aside, and the work goes on with a new file.

`make test` tries a part of the copies, `make bench` all 300 of each.
"""

import logging
import random
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.delivery.queue import Queue
from alerts.delivery.routing import Decision, DeliveryState, RoutedEvent
from alerts.delivery.silence_store import SilenceStore
from alerts.delivery.silences import AckRequest, SilenceRequest
from alerts.engine.evaluate import AlertStates, Event, Key
from alerts.engine.state import AlertState
from alerts.history import recorder as recorder_module
from alerts.history.archive import Archive, read_blocks
from alerts.history.folding import Folder
from alerts.history.query import Query, read_file
from alerts.history.recorder import Recorder
from alerts.history.store import FileError
from alerts.history.store import Store as HistoryStore
from alerts.messages.news import News
from alerts.messages.single import Message
from alerts.restart_record import Record
from alerts.restarts.records import Records
from alerts.store import Store
from exporter.leaderboard.board import Board
from exporter.leaderboard.names import Names
from exporter.leaderboard.position import Position
from exporter.leaderboard.records import Entry
from exporter.leaderboard.snapshot import History, render
from exporter.leaderboard.store import Store as BoardStore
from tests.alerts.history.scenes import KEEP_ALL, START, Peer, sample_rounds
from tests.damage import damage, damaged_copy
from trainer.protocol import RoundAndStage

COPIES = 300
FEW = 60
KEY = Key("PeerDown", "rig-1")
STATES = AlertStates(
    {Key("PeerDown", f"rig-{n}"): AlertState("firing", "critical", 5.0 + n, "gone " * 9) for n in range(40)},
    {Key("PeerRestarted", f"rig-{n}"): {"runs": [[1, 2.5]] * 9} for n in range(40)},
)
HOUR = START - START % 3600 + 3600
IDS = [f"Qm{letter * 44}" for letter in "abcdefghij"]
PLACE = RoundAndStage(3, 1)


@pytest.fixture(autouse=True)
def no_traceback(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Maintenance, which reads what recording does not, follows each round.
    monkeypatch.setattr(recorder_module, "_MAINTENANCE_SECONDS", 0.02)
    # A slow disk has the time that it needs: what was recorded is read afterwards.
    monkeypatch.setattr(recorder_module, "CLOSE_SECONDS", 60.0)
    with caplog.at_level(logging.DEBUG):
        yield
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


@pytest.fixture(scope="module")
def alerts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "alerts.sqlite"
    store = Store(path)
    _use_alerts(store, AlertStates())
    store.close()
    return path


@pytest.fixture(scope="module")
def history_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recorder = Recorder(tmp_path_factory.mktemp("good"), KEEP_ALL)
    recorder.start()
    for group in sample_rounds([Peer("a", 1), Peer("b", 2)], since=HOUR, seconds=2 * 3600 + 900, every=60.0):
        while recorder.waiting > 40:
            time.sleep(0.001)
        recorder.record(group, STATES)
    recorder.close()
    store = HistoryStore(recorder.path)
    Folder(store, KEEP_ALL).work(HOUR)
    store.close()
    return recorder.path


@pytest.fixture(scope="module")
def board_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "board.sqlite"
    store = BoardStore(path)
    store.save(_board(), Position(PLACE, 2, 4))
    store.close()
    return path


def _board() -> Board:
    board = Board()
    board.credit(PLACE, {one: Entry(2.5 + n, 1000.0) for n, one in enumerate(IDS)}, 500.0)
    return board


def _use_alerts(store: Store, before: AlertStates) -> None:
    """Everything that the loop does with its database, in one round."""
    queue, silences, records = Queue(store), SilenceStore(store), Records(store)
    event = Event(KEY, "firing", 6.0, 5.0, "critical", "gone", "its last words")
    decision = Decision(
        (RoutedEvent("hook", event, False),) * 3, DeliveryState({"hook": frozenset({KEY})}, {KEY: "words"})
    )
    store.commit(
        before, STATES, [(event, Message("down", "b"))], lambda: queue.add(decision, queue.load_state(), now=6)
    )
    news: list[News] = queue.waiting("hook")
    queue.post("hook", "topic", [Message("down", "body " * 40, news=tuple(news[:2]))], 7.0)
    queue.post("hook", "", [Message("down again", "body")], 7.0)
    delivery = queue.next_delivery("hook")
    if delivery is not None:
        queue.alerts_of(delivery.id)
        queue.mark_failed(delivery.id, 8.0)
        queue.mark_delivered(delivery.id)
    queue.collapsible("hook", set())
    queue.set_mark("digest", 5.0)
    queue.release_route("hook")
    queue.expire(0.0, ["hook"])
    queue.count_deliveries(), queue.count_events(0, 9), queue.message_times("hook", 0)
    silences.silence(SilenceRequest(peer="rig-*", lasts="1h", comment="holiday"), time.time())  # type: ignore[arg-type]
    silences.acknowledge(AckRequest(rule="PeerDown", peer="rig-1"), [KEY])
    records.put("rig-1", Record("waiting", 5.0, "PeerDown", "gone", (1.0, 2.0)))
    store.events()


def _try_alerts(good: Path, folder: Path, number: int) -> str:
    way = damaged_copy(good, folder, number)
    path = folder / good.name
    store = Store(path)
    _use_alerts(store, store.load())
    assert store.load() == STATES
    assert not store.problem
    store.close()
    again = Store(path)
    assert (again.load(), again.set_aside_count) == (STATES, 0)
    again.close()
    return f"{way}: {'set aside' if store.is_lost else 'as it was'}"


def _try_alerts_running(good: Path, folder: Path, number: int) -> str:
    """The damage comes while the file is in use."""
    folder.mkdir(parents=True)
    path = folder / good.name
    shutil.copyfile(good, path)
    store = Store(path)
    _use_alerts(store, store.load())
    way = "deleted"
    if number % 11 == 10:
        for part in folder.iterdir():
            part.unlink()
    else:
        try:
            way = damage(path, number)
        except sqlite3.Error:
            way = "locked"
    counts = Queue(store).count_deliveries()
    store.commit(STATES, AlertStates(), [], lambda: None)
    store.commit(AlertStates(), STATES, [], lambda: None)
    assert Queue(store).count_deliveries() == counts
    _use_alerts(store, store.load())
    counts = Queue(store).count_deliveries()
    store.close()
    again = Store(path)
    assert (again.load(), Queue(again).count_deliveries(), again.is_lost) == (STATES, counts, False), way
    again.close()
    return f"{way} in use: {'written again' if store.set_aside_count or number % 11 == 10 else 'as it was'}"


def _try_history(good: Path, folder: Path, number: int) -> str:
    way = damaged_copy(good, folder, number)
    path = folder / good.name
    _read_history(path)
    recorder = Recorder(folder, KEEP_ALL)
    recorder.start()
    rounds = list(sample_rounds([Peer("a", 1), Peer("b", 2)], since=HOUR + 4 * 3600, seconds=4000, every=500.0))
    for group in rounds[:-2]:
        recorder.record(group, STATES)
    time.sleep(0.1)
    for group in rounds[-2:]:
        recorder.record(group, STATES)
    recorder.close()
    assert not recorder.problem, (way, recorder.problem)
    assert _read_history(path) == "read", way
    return f"{way}: {'set aside' if recorder.set_aside_count else 'as it was'}"


def _read_history(path: Path) -> str:
    try:
        read_file(path, Query(("a", "b"), ("rank", "state", "memory_bytes"), HOUR, HOUR + 5 * 3600, 200, spread=True))
        read_file(path, Query(("a", "b"), ("rank", "state"), HOUR, HOUR + 5 * 3600, 20))
        with Archive(path) as archive:
            archive.begins(), archive.thinned_until(), archive.firings(0.0)
            for subject in archive.subjects.values():
                list(read_blocks(archive.blocks(subject, 0.0)))
    except (FileError, FileNotFoundError) as error:
        return f"not read: {error}"
    return "read"


def _try_board(good: Path, folder: Path, number: int) -> str:
    way = damaged_copy(good, folder, number)
    path = folder / good.name
    store = BoardStore(path)
    board, position = store.load()
    render(board, Names(), History(), place=position.reported(None), gossip=[], polled_at=1.0, now=2.0)
    for peer, entry in _board().peers.items():
        board.credit(PLACE, {peer: Entry(9.5, entry.stamp + 1)}, 501.0)
    store.save(board, Position(PLACE, 2, 4))
    if number % 3 == 0:
        damage(path, number + 1)
        board.credit(PLACE, {IDS[0]: Entry(11.0, 2000.0)}, 502.0)
        board.dirty.update(board.peers)
        store.save(board, Position(PLACE, 2, 4))
    store.close()
    BoardStore(path).close()
    return f"{way}: {'set aside' if store.set_aside_count else 'as it was'}"


TRIALS = {"alerts": _try_alerts, "alerts in use": _try_alerts_running, "history": _try_history, "board": _try_board}


def _files(request: pytest.FixtureRequest, what: str) -> Path:
    path: Path = request.getfixturevalue(f"{what.split()[0]}_file")
    return path


@pytest.mark.parametrize("what", TRIALS)
def test_damaged_copies_end_nothing(request: pytest.FixtureRequest, tmp_path: Path, what: str) -> None:
    good = _files(request, what)
    # Others each time would make a failure that nobody can repeat.
    for number in random.Random(1).sample(range(COPIES), FEW if what != "history" else FEW // 2):
        TRIALS[what](good, tmp_path / str(number), number)


@pytest.mark.bench
@pytest.mark.parametrize("what", TRIALS)
def test_all_damaged_copies_end_nothing(request: pytest.FixtureRequest, tmp_path: Path, what: str) -> None:
    good = _files(request, what)
    results = Counter(TRIALS[what](good, tmp_path / str(number), number) for number in range(COPIES))
    print(f"\n{what}: {sum(results.values())} damaged copies, no traceback")
    for result, count in sorted(results.items()):
        print(f"  {count:4} {result}")
