"""The alert loop's history: bytes for a month, query time, cost for the loop, a replay."""

import asyncio
import contextlib
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts.backtest import replay as backtest
from alerts.config import Rules
from alerts.engine.evaluate import AlertStates
from alerts.history.folding import Folder
from alerts.history.query import Query, read_file
from alerts.history.recorder import Recorder
from alerts.history.settings import HistorySettings
from alerts.history.store import Store
from tests.alerts.history.scenes import KEEP_ALL, START, Peer, sample_rounds

pytestmark = pytest.mark.bench

SUBJECT = "History of the alert loop"
DAYS = 30
# Peers of five paces, from one step per second to one per minute; blocks are independent: 20 take four times that.
PEERS = 5
TIMES = 4
STEP_SECONDS = (1.0, 3.0, 8.0, 20.0, 60.0)
BEGIN = START - START % 86400

Record = Callable[..., None]


def _peers(count: int) -> list[Peer]:
    return [Peer(f"rig-{n:02}", n, BEGIN, STEP_SECONDS[n % len(STEP_SECONDS)]) for n in range(count)]


def _fill(folder: Path, peers: list[Peer], days: float, settings: HistorySettings = KEEP_ALL) -> Path:
    """A history as the recorder writes it, at full speed, independent of the wall clock."""
    recorder = Recorder(folder, settings)
    with contextlib.closing(recorder):
        recorder.start()
        for group in sample_rounds(peers, since=BEGIN, seconds=days * 86400):
            while recorder.waiting > 40:
                time.sleep(0.001)
            recorder.record(group, AlertStates())
    store = Store(recorder.path)
    Folder(store, settings).work(BEGIN)
    store.close()
    return recorder.path


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Thirty days at 15 s, through the recorder itself."""
    folder = tmp_path_factory.mktemp("month")
    yield _fill(folder, _peers(PEERS), DAYS)
    shutil.rmtree(folder)


@pytest.mark.timeout(7200)
def test_a_month_of_twenty_peers_fits_in_full(month: Path, record: Record) -> None:
    size = sum(part.stat().st_size for part in month.parent.iterdir())
    store = Store(month)
    thinned = store.has_thin_blocks()
    store.close()
    megabytes = TIMES * size / 1e6
    record(
        SUBJECT,
        f"{DAYS} days of {TIMES * PEERS} peers at 15 s, every sample kept",
        f"{megabytes:.0f} MB",
        "under 200 MB",
    )
    record(SUBJECT, "bytes a sample", f"{size / (PEERS * DAYS * 5760):.0f}")
    assert not thinned
    assert megabytes < 200


@pytest.mark.timeout(7200)
def test_a_week_is_replayed_in_under_a_minute(month: Path, record: Record) -> None:
    until, days = BEGIN + DAYS * 86400, 7 * TIMES
    began = time.monotonic()
    *_, result = backtest.run(month, Rules(), until - days * 86400, until, slack_seconds=30)
    seconds = time.monotonic() - began
    assert result.samples == pytest.approx(PEERS * days * 5760, rel=0.001)
    record(
        SUBJECT, f"replay of as many samples as {TIMES * PEERS} peers make in 7 days", f"{seconds:.0f} s", "under 60 s"
    )


@pytest.mark.timeout(7200)
def test_a_page_of_fifty_peers_is_answered_at_once(tmp_path: Path, record: Record) -> None:
    peers = _peers(50)
    path = _fill(tmp_path, peers, 1.02)
    until = BEGIN + 1.02 * 86400
    names = [peer.name for peer in peers]
    for metrics in (("rank",), ("steps_per_second", "memory_bytes", "rank", "reward_cumulative")):
        times = []
        for _ in range(9):
            began = time.perf_counter()
            read_file(path, Query(names, metrics, until - 86400, until, 48))
            times.append(time.perf_counter() - began)
        record(
            SUBJECT,
            f"24 h of 50 peers, 48 points of {len(metrics)} metrics each",
            f"{statistics.median(times) * 1000:.0f} ms",
            "under 300 ms",
        )


def test_writing_and_folding_hold_up_no_event_loop(tmp_path: Path, record: Record) -> None:
    """An event loop that reads the clock each millisecond, while an hour of 64 peers is written and folded."""
    rounds = list(sample_rounds(_peers(64), since=BEGIN, seconds=3700))
    recorder = Recorder(tmp_path, KEEP_ALL)

    async def watch() -> tuple[list[float], list[float]]:
        late, costs = [], []
        for group in [*rounds, *([None] * 8000)]:
            began = time.perf_counter()
            if group is not None:
                recorder.record(group, AlertStates())
                costs.append(time.perf_counter() - began)
                began = time.perf_counter()
            await asyncio.sleep(0.001)
            late.append(time.perf_counter() - began - 0.001)
        return late, costs

    recorder.start()
    late, costs = asyncio.run(watch())
    recorder.close()
    late.sort()
    record(SUBJECT, "the loop's own time to hand over 64 peers, median", f"{statistics.median(costs) * 1e6:.0f} µs")
    record(SUBJECT, "delay of the event loop meanwhile, p99", f"{late[int(len(late) * 0.99)] * 1000:.1f} ms", "some ms")
