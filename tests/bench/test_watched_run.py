"""A real run of TRL that is watched from outside against the same run unwatched, in turn."""

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.architecture import ROOT
from tests.fakes import wait_for

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

# Five times as often as by default, so that what a collection costs the trainer is seen in each turn.
INTERVAL_SECONDS, USUAL_SECONDS = 1.0, 5.0
PAIRS, TURN_SECONDS = 60, 1.1
# Before the machine's other work, as far as this user may: the run and what watches it alike.
FIRST = ["nice", "-n", "-20"]
SUBJECT = "A run of TRL watched from outside"


def test_a_watched_run_is_not_slowed(record: Callable[..., None], tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    watch = {
        "folder": str(tmp_path),
        "find": {"folder": str(ROOT), "command": str(notes)},
        "progress": [{"log": {"path": "train.log", "format": "transformers"}}],
    }
    (tmp_path / "watch.json").write_text(json.dumps(watch))
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    sidecar = [*FIRST, sys.executable, "-m", "exporter", "--run-dir", str(tmp_path), "--listen", "127.0.0.1:0"]
    sidecar += ["--watch", str(tmp_path / "watch.json"), "--interval-seconds", str(INTERVAL_SECONDS)]
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path / "train.log").open("wb"))
        trainer = stack.enter_context(
            subprocess.Popen(
                [*FIRST, sys.executable, "-W", "ignore", "-m", "tests.bench.timed_trl", str(notes)],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        )
        stack.callback(trainer.kill)
        wait_for(lambda: notes.exists() and notes.stat().st_size > 1000, 60, "steps")
        watching = stack.enter_context(subprocess.Popen(sidecar, cwd=ROOT, stderr=subprocess.DEVNULL))
        stack.callback(watching.kill)
        wait_for((tmp_path / "process.json").exists, 20, "the trainer is found")
        time.sleep(3.0)
        turns, before = [], _cpu_seconds(watching.pid)
        for number in range(2 * PAIRS):
            # On, off, off, on: a drift of the machine falls on both alike.
            is_watched = number % 4 in (0, 3)
            watching.send_signal(signal.SIGCONT if is_watched else signal.SIGSTOP)
            begin = time.monotonic()
            time.sleep(TURN_SECONDS)
            turns.append((is_watched, begin, time.monotonic()))
        watching.send_signal(signal.SIGCONT)
        cost = (_cpu_seconds(watching.pid) - before) / sum(end - begin for is_on, begin, end in turns if is_on)
        lines = [tuple(map(float, line.split())) for line in notes.read_text().splitlines()[:-1]]
    ratios, unwatched = [], []
    for one, other in zip(turns[::2], turns[1::2], strict=True):
        steps = {is_watched: _steps_within(lines, begin, end) for is_watched, begin, end in (one, other)}
        # On a busy machine there may be none.
        if min(map(len, steps.values())) >= 3:
            ratios.append(statistics.median(steps[True]) / statistics.median(steps[False]))
            unwatched += steps[False]
    assert len(ratios) >= PAIRS / 2
    draw = random.Random(1)
    drawn = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(1000))
    low, high = drawn[25], drawn[-26]
    shown = f"{statistics.median(ratios):.4f}, 95 % between {low:.3f} and {high:.3f}"
    record(SUBJECT, "median step unwatched", f"{1e3 * statistics.median(unwatched):.1f} ms")
    record(
        SUBJECT, f"step watched every second / unwatched, median of {len(ratios)} pairs of turns", shown, "at most 1.01"
    )
    collection = cost * INTERVAL_SECONDS
    usual = f"{1e3 * collection:.1f} ms a collection, {100 * collection / USUAL_SECONDS:.2f} % of a core every 5 s"
    record(SUBJECT, "CPU of the sidecar, which is the most that a run on the same core loses", usual, "at most 1 %")
    # The clock also measures the machine's other work: what is within its spread is no difference.
    assert low <= 1.01
    assert collection / USUAL_SECONDS <= 0.01


def _cpu_seconds(pid: int) -> float:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def _steps_within(lines: list[tuple[float, ...]], begin: float, end: float) -> list[float]:
    """Seconds of the steps that lie wholly within a turn."""
    return [wall for at, wall in lines if begin < at - wall and at < end]
