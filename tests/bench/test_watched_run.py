"""A real run of TRL that is watched from outside against the same run unwatched, in turn."""

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.architecture import ROOT
from tests.fakes import wait_for

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

# Five times as often as by default, so that what a collection costs the trainer is seen in each turn.
INTERVAL_SECONDS = 1.0
ROUNDS, TURN_SECONDS = 30, 2.2
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
    sidecar = [sys.executable, "-m", "exporter", "--run-dir", str(tmp_path), "--listen", "127.0.0.1:0"]
    sidecar += ["--watch", str(tmp_path / "watch.json"), "--interval-seconds", str(INTERVAL_SECONDS)]
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path / "train.log").open("wb"))
        trainer = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "tests.bench.timed_trl", str(notes)],
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
        turns = []
        for number in range(2 * ROUNDS):
            # On, off, off, on: a drift of the machine falls on both alike.
            is_watched = number % 4 in (0, 3)
            watching.send_signal(signal.SIGCONT if is_watched else signal.SIGSTOP)
            begin = time.monotonic()
            time.sleep(TURN_SECONDS)
            turns.append((is_watched, begin, time.monotonic()))
        watching.send_signal(signal.SIGCONT)
        lines = [tuple(map(float, line.split())) for line in notes.read_text().splitlines()[:-1]]
    # Of each pair of turns, the steps that lie wholly within one of them.
    pairs = [_steps_by_turn(lines, turns[place : place + 2]) for place in range(0, len(turns), 2)]
    by_clock, by_cpu = _ratio(pairs, 0), _ratio(pairs, 1)
    low, high = _spread(pairs)
    unwatched = [wall for pair in pairs for wall, _ in pair[False]]
    assert len(unwatched) > 10 * ROUNDS
    middle = f"{1e3 * statistics.median(unwatched):.1f} ms, {len(unwatched)} steps in {ROUNDS} turns"
    shown = f"{by_clock:.4f}, 95 % between {low:.3f} and {high:.3f}"
    record(SUBJECT, "median step unwatched", middle)
    record(SUBJECT, "step watched every second / unwatched, by the clock", shown, "at most 1.01")
    record(SUBJECT, "the same, CPU time of the training thread", f"{by_cpu:.4f}", "at most 1.01")
    # The clock also measures the machine's other work; the CPU time of the thread does not.
    assert by_cpu <= 1.01
    assert low <= 1.01


def _steps_by_turn(
    lines: list[tuple[float, ...]], turns: list[tuple[bool, float, float]]
) -> dict[bool, list[tuple[float, float]]]:
    """Seconds of each step by the clock and of the processor, by whether the run was watched."""
    return {
        is_watched: [(wall, cpu) for at, wall, cpu in lines if begin < at - wall and at < end]
        for is_watched, begin, end in turns
    }


def _ratio(pairs: Sequence[dict[bool, list[tuple[float, float]]]], place: int) -> float:
    middle = {on: statistics.median(step[place] for pair in pairs for step in pair[on]) for on in (True, False)}
    return middle[True] / middle[False]


def _spread(pairs: list[dict[bool, list[tuple[float, float]]]]) -> tuple[float, float]:
    """The middle 95 % of the ratio by the clock, over pairs of turns drawn again."""
    draw = random.Random(1)
    ratios = sorted(_ratio(draw.choices(pairs, k=len(pairs)), 0) for _ in range(400))
    return ratios[10], ratios[-11]
