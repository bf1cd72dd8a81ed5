"""The recorder with real files: nothing that happens to them reaches the loop, and what was written stays."""

import contextlib
import logging
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts.engine.evaluate import AlertStates, Key
from alerts.engine.state import AlertState
from alerts.history import folding
from alerts.history.archive import Archive, read_blocks
from alerts.history.query import Query, read_charts
from alerts.history.recorder import Recorder
from alerts.history.samples import Subject
from alerts.history.settings import HistorySettings
from alerts.history.store import FORMAT, Store
from exporter.files.database import Damaged, Unavailable, connect_beside_writer
from tests.alerts.history.scenes import KEEP_ALL, START, Peer, sample_rounds
from tests.fakes import wait_for

HOUR = START - START % 3600 + 3600


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk has the time that it needs: what was recorded is read afterwards."""
    monkeypatch.setattr("alerts.history.recorder.CLOSE_SECONDS", 60.0)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path, KEEP_ALL)
    recorder.start()
    yield recorder
    recorder.close()


def _rows(path: Path, query: str = "SELECT count(*) FROM looks") -> int:
    try:
        with contextlib.closing(connect_beside_writer(path)) as db:
            return int(db.execute(query).fetchone()[0])
    except (Damaged, Unavailable, sqlite3.Error):
        return 0


def _record(recorder: Recorder, peers: list[Peer], since: float, seconds: float, every: float = 15.0) -> None:
    for group in sample_rounds(peers, since=since, seconds=seconds, every=every):
        while recorder.waiting > 40:
            time.sleep(0.001)
        recorder.record(group, AlertStates())


def test_samples_of_this_hour_are_read_for_every_peer_of_a_hundred(recorder: Recorder) -> None:
    peers = [Peer(f"rig-{number}", number) for number in range(100)]
    _record(recorder, peers, HOUR, 60)
    recorder.close()
    query = Query([peer.name for peer in (peers[0], peers[70], peers[99])], ("steps_total",), HOUR, HOUR + 59, 4)
    with Archive(recorder.path) as archive:
        values = read_charts(archive, query).values
    assert [len([v for v in values[peer]["steps_total"] if v is not None]) for peer in query.peers] == [4, 4, 4]


def test_hours_that_are_over_become_blocks_and_summaries_and_nothing_is_lost(
    recorder: Recorder,
) -> None:
    peers = [Peer("a", 1), Peer("b", 2)]
    _record(recorder, peers, HOUR, 2 * 3600 + 300)
    recorder.close()
    store = Store(recorder.path)
    folder = folding.Folder(store, KEEP_ALL)
    while folder.fold(0):
        pass
    assert _rows(recorder.path) == 20
    store.close()
    again = [Peer("a", 1), Peer("b", 2)]
    made = [group[0].view for group in sample_rounds(again, since=HOUR, seconds=2 * 3600 + 300)]
    with Archive(recorder.path) as archive:
        subject = archive.subjects[Subject("peer", "a")]
        blocks = [block for _, block in read_blocks(archive.blocks(subject, 0.0))]
        blocks.append(archive.open_blocks({subject})[subject])
        ids = {series: number for number, series in archive.series.items() if not series.labels}
        for name in ("trainer_cpu_seconds_total", "swarm_rank", "trainer_last_step_timestamp_seconds"):
            number = next(number for series, number in ids.items() if series.name == name)
            kept = [value for block in blocks for value in block.columns[number]]
            assert kept == pytest.approx([view.page.value(name) for view in made if view.page], abs=0.001)
        assert [at for block in blocks for at in block.times] == pytest.approx([v.now for v in made], abs=0.001)


def test_a_kill_at_any_instant_loses_at_most_what_was_being_written(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from alerts.engine.evaluate import AlertStates
        from alerts.history.recorder import Recorder
        from tests.alerts.history.scenes import KEEP_ALL, Peer, sample_rounds
        recorder = Recorder(Path({str(tmp_path)!r}), KEEP_ALL)
        recorder.start()
        for count, group in enumerate(sample_rounds([Peer("a", 1)], since={HOUR}, seconds=1e6)):
            while recorder.waiting:
                pass
            recorder.record(group, AlertStates())
            print(count, flush=True)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        recorded = 0
        while recorded < 300:
            recorded = int(process.stdout.readline())
        process.kill()
    with Archive(tmp_path / "history.sqlite") as archive:
        (block,) = archive.open_blocks(set(archive.subjects.values())).values()
    assert len(block.times) >= recorded - 1


def test_a_damaged_file_is_set_aside_logged_once_and_replaced(
    tmp_path: Path, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.path.write_bytes(b"SQLite format 3\0" + b"x" * 8000)
    with caplog.at_level(logging.INFO):
        _record(recorder, [Peer("a", 1)], HOUR, 300)
        wait_for(lambda: _rows(recorder.path) >= 19, 10, "the samples after the first", every=0.02)
    (aside,) = tmp_path.glob("history.sqlite.damaged-*")
    assert aside.read_bytes().endswith(b"xx")
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        f"{recorder.path} is damaged (file is not a database): kept as {aside.name}, a new history is started"
    ]
    assert (recorder.aside, recorder.set_aside_count) == (aside, 1)


_SET_ASIDE_WHILE_READ = """
import sys
import threading
from pathlib import Path

from alerts.history.archive import Archive
from alerts.history.store import FORMAT, FileError, Store
from exporter.files.database import set_aside

path = Path(sys.argv[1], "history.sqlite")
is_over = threading.Event()


def read():
    while not is_over.is_set():
        try:
            with Archive(path) as archive:
                archive.begins()
        except (FileNotFoundError, FileError):
            pass


sys.setswitchinterval(1e-5)
readers = [threading.Thread(target=read) for _ in range(2)]
for reader in readers:
    reader.start()
try:
    for _ in range(200):
        store = Store(path)
        for at in range(3):
            store.add_samples(at, {0: {0: 1.0}})
        store.close()
        set_aside(path, FORMAT)
finally:
    is_over.set()
"""


def test_pages_that_read_do_no_harm_while_a_file_is_set_aside(tmp_path: Path) -> None:
    """In a process of its own: SQLite ends one whose mapped index is cut off."""
    command = [sys.executable, "-c", _SET_ASIDE_WHILE_READ, tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_a_file_that_is_damaged_while_it_is_written_is_set_aside_after_a_failed_read(
    tmp_path: Path, recorder: Recorder
) -> None:
    _record(recorder, [Peer(str(number), number) for number in range(30)], HOUR, 900)
    wait_for(lambda: _rows(recorder.path) == 60, 10, "the samples", every=0.02)
    with sqlite3.connect(recorder.path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with recorder.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"x" * 4096 * 12)
    recorder.suspect()
    _record(recorder, [Peer("a", 1)], HOUR + 900, 150)
    wait_for(lambda: any(tmp_path.glob("history.sqlite.damaged-*")), 10, "it is set aside", every=0.02)
    wait_for(lambda: _rows(recorder.path), 10, "the samples after that", every=0.02)


def test_a_damaged_block_costs_only_its_own_hour(recorder: Recorder) -> None:
    _record(recorder, [Peer("a", 1)], HOUR, 3 * 3600 + 60)
    recorder.close()
    store = Store(recorder.path)
    folding.Folder(store, KEEP_ALL).work(HOUR)
    store.close()
    with sqlite3.connect(recorder.path) as db:
        db.execute("UPDATE blocks SET data = x'00112233' WHERE id = 2")
    db.close()
    query = Query(("a",), ("rank",), HOUR, HOUR + 3 * 3600 - 1, 540)
    with Archive(recorder.path) as archive:
        ranks = read_charts(archive, query).values["a"]["rank"]
    assert [value is None for value in ranks].count(True) == pytest.approx(180, abs=2)
    store = Store(recorder.path)
    tight = HistorySettings.model_construct(keep=KEEP_ALL.keep, max_megabytes=0.001)
    folding.Folder(store, tight).work(HOUR)
    store.close()


def test_a_file_with_a_damaged_version_is_set_aside(tmp_path: Path, recorder: Recorder) -> None:
    with sqlite3.connect(recorder.path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    _record(recorder, [Peer("a", 1)], HOUR, 60)
    wait_for(lambda: _rows(recorder.path) >= 3, 10, "the samples after the first", every=0.02)
    assert any(tmp_path.glob("history.sqlite.damaged-*"))


def test_a_file_of_a_newer_version_is_left_alone(
    tmp_path: Path, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    with sqlite3.connect(recorder.path) as db:
        db.executescript(
            f"CREATE TABLE new (x); PRAGMA user_version = 2; PRAGMA application_id = {FORMAT.application_id(2)}"
        )
    db.close()
    _record(recorder, [Peer("a", 1)], HOUR, 60)
    wait_for(lambda: recorder.problem, 10, "the refusal", every=0.02)
    assert "written by a newer version of Peerwatch (format 2; this one reads up to 1)" in caplog.text
    assert not any(tmp_path.glob("history.sqlite.damaged-*"))
    assert _rows(recorder.path, "SELECT count(*) FROM new") == 0


def test_a_deleted_file_is_created_again(recorder: Recorder) -> None:
    _record(recorder, [Peer("a", 1)], HOUR, 150)
    wait_for(lambda: _rows(recorder.path) == 10, 10, "the first samples", every=0.02)
    for suffix in ("", "-wal", "-shm"):
        recorder.path.with_name(recorder.path.name + suffix).unlink(missing_ok=True)
    _record(recorder, [Peer("a", 1)], HOUR + 150, 150)
    wait_for(lambda: _rows(recorder.path) == 10, 10, "the samples after that", every=0.02)


def test_an_obstacle_is_logged_once_until_it_is_gone(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    recorder.path.mkdir()
    with caplog.at_level(logging.INFO):
        _record(recorder, [Peer("a", 1)], HOUR, 150)
        wait_for(lambda: "history: cannot write" in caplog.text, 10, "the log of the obstacle", every=0.02)
        recorder.path.rmdir()
        _record(recorder, [Peer("a", 1)], HOUR + 150, 150)
        wait_for(lambda: _rows(recorder.path), 10, "the samples after that", every=0.02)
        wait_for(lambda: "history: recording resumed" in caplog.text, 10, "the log of the recovery", every=0.02)
    assert caplog.text.count("history: cannot write") == 1


def test_a_full_disk_never_ends_the_thread(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import resource, logging, time
        from pathlib import Path
        from alerts.engine.evaluate import AlertStates
        from alerts.history.recorder import Recorder
        from tests.alerts.history.scenes import KEEP_ALL, Peer, sample_rounds
        logging.basicConfig(level=logging.INFO)
        recorder = Recorder(Path({str(tmp_path)!r}), KEEP_ALL)
        recorder.start()
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        for count, group in enumerate(sample_rounds([Peer(str(n), n) for n in range(20)], since={HOUR}, seconds=6000)):
            if count in (30, 300):
                while recorder.waiting:
                    time.sleep(0.001)
                resource.setrlimit(resource.RLIMIT_FSIZE, (2**18 if count == 30 else hard, hard))
            while recorder.waiting > 40:
                time.sleep(0.001)
            recorder.record(group, AlertStates())
        recorder.close()
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=360)
    assert done.stderr.count("ERROR") == 1, done.stderr
    assert "history: cannot write" in done.stderr
    assert "history: recording resumed" in done.stderr
    assert _rows(tmp_path / "history.sqlite") > 100


def test_firings_are_kept_as_intervals_over_restarts(tmp_path: Path) -> None:
    key = Key("PeerStalled", "a")
    firing = AlertStates({key: AlertState("firing", "critical", HOUR - 60, "No progress.")})
    pending = AlertStates({key: AlertState("pending", "critical", HOUR - 60, "No progress.")})
    rounds = list(sample_rounds([Peer("a", 1)], since=HOUR, seconds=90))
    for part in (rounds[:3], rounds[3:]):
        recorder = Recorder(tmp_path, KEEP_ALL)
        recorder.start()
        for index, group in enumerate(part):
            is_firing = (part is rounds or group[0].view.now < HOUR + 60) and group is not rounds[0]
            recorder.record(group, firing if is_firing else pending if index == 0 else AlertStates())
        recorder.close()
    with Archive(tmp_path / "history.sqlite") as archive:
        (one,) = archive.firings(0.0)
    assert (one.rule, one.subject, one.severity, one.summary) == ("PeerStalled", "a", "critical", "No progress.")
    assert (one.fired_at, one.ended_at) == (pytest.approx(HOUR + 15, abs=1), pytest.approx(HOUR + 60, abs=1))


def test_samples_beyond_the_limit_are_thinned_then_deleted(tmp_path: Path, recorder: Recorder) -> None:
    _record(recorder, [Peer(str(number), number) for number in range(3)], HOUR, 5 * 3600)
    recorder.close()
    store = Store(recorder.path)
    while folding.Folder(store, KEEP_ALL).fold(0):
        pass
    before = store.size_bytes()
    small = HistorySettings.model_construct(keep=30 * 86400.0, max_megabytes=(before - 30_000) / 1e6)
    _work(lambda: folding.Folder(store, small).work(HOUR + 5 * 3600), 5)
    assert store.size_bytes() < before - 30_000
    thin = _rows(recorder.path, "SELECT count(*) FROM blocks WHERE is_thin")
    assert 0 < thin < _rows(recorder.path, "SELECT count(*) FROM blocks")
    with Archive(recorder.path) as archive:
        until = archive.thinned_until()
    assert until is not None
    assert until < HOUR + 4 * 3600
    short = HistorySettings(keep="2h")
    _work(lambda: folding.Folder(store, short).work(HOUR + 5 * 3600), 5)
    store.close()
    with Archive(recorder.path) as archive:
        begins = archive.begins()
    assert begins is not None
    assert begins >= HOUR + 2 * 3600


def test_charts_of_any_length_agree(recorder: Recorder) -> None:
    """Points from samples, from short slots and from long slots end with the same rank and reward."""
    _record(recorder, [Peer("a", 1)], HOUR - HOUR % 86400, 3 * 86400, every=120.0)
    recorder.close()
    store = Store(recorder.path)
    folding.Folder(store, KEEP_ALL).work(HOUR)
    store.close()
    assert _rows(recorder.path, "SELECT count(*) FROM summaries WHERE slot_seconds = 3600") > 0
    until = HOUR - HOUR % 86400 + 3 * 86400 - 1
    lasts = []
    for since, points in ((until - 1800, 15), (until - 86400, 48), (until - 3 * 86400, 24)):
        with Archive(recorder.path) as archive:
            drawn = read_charts(archive, Query(("a",), ("rank", "reward_cumulative"), since, until, points))
        values = drawn.values["a"]
        assert len(drawn.times) == len(values["rank"]) == points + 1
        assert sum(value is None for value in values["rank"]) <= 1
        lasts.append((values["rank"][-1], values["reward_cumulative"][-1]))
    assert lasts[0] == lasts[1] == lasts[2]


def _work(work: Callable[[], None], times: int) -> None:
    for _ in range(times):
        work()
