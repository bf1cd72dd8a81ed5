"""A real run of TRL that is watched from outside against the same run unwatched, in turn."""

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.architecture import ROOT
from tests.fakes import wait_for

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

# Twenty times as often as by default: what a collection costs the run, whatever it is, it costs twenty times as often,
# and the machine's other work, which is far more, blurs a twentieth as much of it.
INTERVAL_SECONDS, USUAL_SECONDS = 0.25, 5.0
# On, off, off, on: a drift of the machine falls on both alike.
PATTERN, TURN_SECONDS = (True, False, False, True), 1.1
# So many at a time, until both intervals are as narrow as they have to be; at most so many.
BLOCKS_AT_ONCE, MOST_BLOCKS, NARROW = 20, 100, 0.004
# Before the machine's other work, as far as this user may: the run and what watches it alike.
FIRST = ["nice", "-n", "-20"]
SUBJECT = "A run of TRL watched from outside"


class Step(NamedTuple):
    """One step of the run: the clock at its end, and its seconds by the clock and of a processor."""

    at: float
    wall: float
    cpu: float


class Turn(NamedTuple):
    """A span in which the run was watched or not, by the clock."""

    is_watched: bool
    begin: float
    end: float


class Ratio(NamedTuple):
    """Watched to unwatched: the middle of the blocks' ratios, and where it lies with a probability of 95 %."""

    value: float
    low: float
    high: float
    blocks: int

    def at_usual_interval(self) -> "Ratio":
        """What the run is slowed by as many collections as there are by default."""
        fewer = INTERVAL_SECONDS / USUAL_SECONDS
        return Ratio(*(1.0 + (ratio - 1.0) * fewer for ratio in self[:3]), self.blocks)

    def half_width(self) -> float:
        return max(self.high - self.value, self.value - self.low)

    def __str__(self) -> str:
        return f"{self.value:.4f}, 95 % between {self.low:.4f} and {self.high:.4f}"


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
        turns: list[Turn] = []
        before = _cpu_seconds(watching.pid)
        while len(turns) < MOST_BLOCKS * len(PATTERN):
            turns += [_take_turn(watching, is_on) for _ in range(BLOCKS_AT_ONCE) for is_on in PATTERN]
            steps = [Step(*map(float, line.split())) for line in notes.read_text().splitlines()[:-1]]
            cpu = _compare(turns, steps, lambda step: step.cpu)
            wall = _compare(turns, steps, lambda step: step.wall)
            if max(one.at_usual_interval().half_width() for one in (cpu, wall)) <= NARROW:
                break
        watching.send_signal(signal.SIGCONT)
        cost = (_cpu_seconds(watching.pid) - before) / sum(turn.end - turn.begin for turn in turns if turn.is_watched)
    unwatched = [step for turn in turns if not turn.is_watched for step in _steps_within(steps, turn)]
    usual = [1e3 * statistics.median(values) for values in zip(*unwatched, strict=True)]
    record(SUBJECT, "median step unwatched", f"{usual[1]:.1f} ms by the clock, {usual[2]:.1f} ms of a processor")
    often = f"{1 / INTERVAL_SECONDS:.0f} collections a second / unwatched, {cpu.blocks} blocks of turns"
    record(SUBJECT, f"processor time of the run's own step, {often}", str(cpu))
    record(SUBJECT, f"step by the clock, {often}", str(wall))
    record(
        SUBJECT,
        "processor time of the run's own step, by default / unwatched",
        str(cpu.at_usual_interval()),
        "at most 1.01",
    )
    record(SUBJECT, "step by the clock, by default / unwatched", str(wall.at_usual_interval()), "at most 1.01")
    collection = cost * INTERVAL_SECONDS
    share = f"{1e3 * collection:.1f} ms a collection, {100 * collection / USUAL_SECONDS:.2f} % of a core every 5 s"
    record(SUBJECT, "CPU of the sidecar, which is the most that a run on the same core loses", share, "at most 1 %")
    # Not the measured ratio alone: the whole of where it may lie.
    assert cpu.at_usual_interval().high <= 1.01
    assert wall.at_usual_interval().high <= 1.01
    assert collection / USUAL_SECONDS <= 0.01


def _take_turn(watching: "subprocess.Popen[bytes]", is_watched: bool) -> Turn:
    watching.send_signal(signal.SIGCONT if is_watched else signal.SIGSTOP)
    begin = time.monotonic()
    time.sleep(TURN_SECONDS)
    return Turn(is_watched, begin, time.monotonic())


def _compare(turns: Sequence[Turn], steps: Sequence[Step], measure: Callable[[Step], float]) -> Ratio:
    """The mean of the middle half of the blocks' ratios, and its interval by drawing blocks again."""
    ratios = []
    for place in range(0, len(turns), len(PATTERN)):
        found: dict[bool, list[float]] = {True: [], False: []}
        for turn in turns[place : place + len(PATTERN)]:
            found[turn.is_watched] += map(measure, _steps_within(steps, turn))
        # On a busy machine there may be none.
        if min(map(len, found.values())) >= 6:
            ratios.append(_middle(found[True]) / _middle(found[False]))
    draw = random.Random(1)
    drawn = sorted(_middle(draw.choices(ratios, k=len(ratios))) for _ in range(1000))
    return Ratio(_middle(ratios), drawn[25], drawn[-26], len(ratios))


def _middle(values: Sequence[float]) -> float:
    """The mean without the lowest and the highest quarter: as robust as the median, and less noisy."""
    cut = len(values) // 4
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def _cpu_seconds(pid: int) -> float:
    """Of a process and of those that it started."""
    family = psutil.Process(pid)
    tasks = [task for one in [family, *family.children()] for task in Path(f"/proc/{one.pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _steps_within(steps: Sequence[Step], turn: Turn) -> list[Step]:
    """The steps that lie wholly within a turn."""
    # The clock of the notes only rises.
    first, last = (bisect_left(steps, at, key=lambda step: step.at) for at in (turn.begin, turn.end))
    return [step for step in steps[first:last] if step.at - step.wall > turn.begin]
