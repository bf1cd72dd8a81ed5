"""Sidecars of trainers that somebody else starts: what reading their progress costs, and how soon it is served."""

import contextlib
import http.client
import json
import random
import re
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.architecture import ROOT
from tests.exporter.progress.conftest import page as page
from tests.exporter.progress.readers.test_tensorboard import event, frame
from tests.exporter.progress.readers.test_trackio import AT, NEW
from tests.exporter.progress.readers.test_wandb import history, write_log
from tests.exporter.progress.writers import write_log as write_text
from tests.exporter.progress.writers import write_page, write_rows, write_state

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

TRAINERS, BYTES_PER_SECOND, MEASURED_SECONDS = 20, 1_000_000, 30.0
INTERVAL_SECONDS = 1.0
RECORDS = 15
SUBJECT = "Reading the progress of attached trainers"


class Sidecar:
    """A sidecar that finds a trainer by its folder and reads its progress, with a kept connection to it."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path, progress: list[Any], interval: float) -> None:
        run_folder = folder / "run"
        run_folder.mkdir()
        watch = {"folder": str(folder), "find": {"folder": str(folder), "command": "sleep"}, "progress": progress}
        (run_folder / "watch.json").write_text(json.dumps(watch))
        trainer = stack.enter_context(subprocess.Popen(["sleep", "1000"], cwd=folder))
        stack.callback(trainer.kill)
        command = [sys.executable, "-m", "exporter", "--run-dir", str(run_folder), "--listen", "127.0.0.1:0"]
        command += ["--watch", str(run_folder / "watch.json"), "--interval-seconds", str(interval)]
        child = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True))
        stack.callback(child.terminate)
        assert child.stderr
        found = None
        while found is None:
            line = child.stderr.readline()
            assert line, "the sidecar ended"
            found = re.search(r"peerwatch sidecar .*:(\d+)/metrics", line)
        threading.Thread(target=child.stderr.read, daemon=True).start()
        self.process = psutil.Process(child.pid)
        self._connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=10)
        stack.callback(self._connection.close)

    def page(self) -> str:
        self._connection.request("GET", "/metrics")
        return self._connection.getresponse().read().decode()

    def step(self) -> int:
        """The step that its reader has reached; 0 before the first."""
        found = re.search(r'^trainer_progress_step\{reader="\w+"\} ([\d.e+]+)$', self.page(), re.MULTILINE)
        return int(float(found[1])) if found else 0

    def cpu_seconds(self) -> float:
        """Of all its threads, to the nanosecond."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def uss(self) -> float:
        return self.process.memory_full_info().uss / 1e6


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def test_twenty_sidecars_of_growing_logs_take_little_of_a_core(
    stack: contextlib.ExitStack, tmp_path: Path, record: Callable[..., None]
) -> None:
    command = [sys.executable, "-m", "tests.bench.log_writers", str(tmp_path), str(TRAINERS), str(BYTES_PER_SECOND)]
    writers = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE))
    stack.callback(writers.kill)
    assert writers.stdout
    writers.stdout.readline()
    folders = [tmp_path / str(number) for number in range(TRAINERS)]
    # As `attach` writes it for such a log.
    progress = [{"log": {"path": "train.log", "format": "transformers"}}]
    sidecars = [Sidecar(stack, folder, progress, 5.0) for folder in folders]
    # The first collections find the trainer, and which format its log has.
    time.sleep(15.0)
    sizes, before = _written(folders), [sidecar.cpu_seconds() for sidecar in sidecars]
    began = time.monotonic()
    time.sleep(MEASURED_SECONDS)
    seconds = time.monotonic() - began
    share = (sum(sidecar.cpu_seconds() for sidecar in sidecars) - sum(before)) / seconds
    rate = (_written(folders) - sizes) / seconds
    steps = [sidecar.step() for sidecar in sidecars]
    uss = [sidecar.uss() for sidecar in sidecars]
    what = f"CPU of {TRAINERS} sidecars, their logs growing by {rate / 1e6:.2f} MB/s together"
    record(SUBJECT, what, f"{100 * share:.2f} % of a core", "under 3 %")
    record(SUBJECT, "USS of each of them", f"{statistics.median(uss):.1f} MB, {max(uss):.1f} at most", "at most 20 MB")
    assert min(steps) >= 10
    assert rate > 0.9 * BYTES_PER_SECOND
    assert share < 0.03
    assert max(uss) <= 20.0


def _written(folders: list[Path]) -> int:
    return sum((folder / "train.log").stat().st_size for folder in folders)


class Sources:
    """For each reader a file or page that one more record is written to, and the reader's options."""

    def __init__(self, folder: Path, served: Any, stack: contextlib.ExitStack) -> None:
        self._folder, self._served = folder, served
        self._calls: list[bytes] = []
        self._written = 0
        self._database = stack.enter_context(
            contextlib.closing(sqlite3.connect(folder / "p.db", isolation_level=None, check_same_thread=False))
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute(NEW)
        self.options = {
            "checkpoints": {"path": str(folder)},
            "jsonl": {"path": str(folder / "metrics.jsonl")},
            "log": {"path": str(folder / "train.log")},
            "prometheus": {"url": served.url},
            "tensorboard": {"path": str(folder / "events.out.tfevents.1.box.1.0")},
            "trackio": {"path": str(folder / "p.db")},
            "wandb": {"path": str(folder / "run-a.wandb")},
        }

    def write(self, step: int) -> None:
        """Writes a record to each."""
        self._served.text = write_page(step).decode()
        self._append("metrics.jsonl", write_rows(range(step, step + 1)))
        self._append("train.log", write_text("verl", range(step, step + 1)))
        self._append("events.out.tfevents.1.box.1.0", frame(event("train/loss", step, 0.5, at=time.time())))
        self._database.execute(
            "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES ('a', ?, 'a', ?, ?)",
            (AT, step, '{"loss": 0.5}'),
        )
        self._calls.append(history(step, loss=0.5, _timestamp=time.time()))
        whole = write_log(*self._calls)
        self._append("run-a.wandb", whole[self._written :])
        self._written = len(whole)
        state = self._folder / f"checkpoint-{step}"
        state.mkdir()
        (state / "trainer_state.json").write_bytes(write_state(step))

    def _append(self, name: str, content: bytes) -> None:
        with (self._folder / name).open("ab") as file:
            file.write(content)


def test_each_reader_is_small_and_serves_a_record_within_a_collection(
    stack: contextlib.ExitStack, tmp_path: Path, record: Callable[..., None], page: Any
) -> None:
    sources = Sources(tmp_path, page, stack)
    sources.write(1)
    sidecars = {}
    for name, options in sources.options.items():
        (tmp_path / name).mkdir()
        sidecars[name] = Sidecar(stack, tmp_path / name, [{name: options}], INTERVAL_SECONDS)
    latencies: dict[str, list[float]] = {name: [] for name in sidecars}
    pause = random.Random(1)
    for step in range(2, RECORDS + 2):
        # At any instant between two collections.
        time.sleep(pause.random() * INTERVAL_SECONDS)
        sources.write(step)
        written = time.monotonic()
        waiting = set(sidecars)
        while waiting and time.monotonic() < written + 30:
            served = {name for name in waiting if sidecars[name].step() >= step}
            for name in served:
                latencies[name].append(time.monotonic() - written)
            waiting -= served
            time.sleep(0.01)
        assert not waiting, f"record {step} was never served by {waiting}"
    uss = {name: sidecar.uss() for name, sidecar in sidecars.items()}
    for name in sidecars:
        middle = statistics.median(latencies[name]) / INTERVAL_SECONDS
        what = f"{middle:.2f} collections, {max(latencies[name]) / INTERVAL_SECONDS:.2f} at most"
        record(SUBJECT, f"{name}: from record written to metric served, median", what, "under 1")
    for name, size in uss.items():
        record(SUBJECT, f"{name}: USS of a sidecar", f"{size:.1f} MB", "at most 20 MB")
    assert max(uss.values()) <= 20.0
    assert all(statistics.median(one) < INTERVAL_SECONDS for one in latencies.values())
