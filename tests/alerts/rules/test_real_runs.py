"""What real processes do, as the sidecar's collectors see it, and what the rules say of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.rules import Verdict, View, discover
from alerts.scraping.page import parse
from exporter.collectors import discover as discover_collectors
from exporter.config import parse_arguments
from exporter.snapshot import Snapshot
from tests.memory_group import memory_group

RULES = discover()

# A trainer that rests, or works for half a second of the processor at each line of input.
TRAINER = """
import sys, time
print(flush=True)
while sys.stdin.readline():
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass
    print(flush=True)
"""
# Puts itself into a memory group, and needs more than that has at a line of input.
EATER = """
import os, sys
group = sys.argv[1]
open(group + "/cgroup.procs", "w").write(str(os.getpid()))
print(flush=True)
sys.stdin.readline()
ballast = bytearray(b"x" * (512 << 20))
"""


class Watched:
    """A peer as its sidecar sees it, without the sidecar's process."""

    def __init__(self, folder: Path, find: dict[str, str] | None = None, progress: tuple[Any, ...] = ()) -> None:
        watch = {"folder": str(folder), "find": find or {}, "progress": list(progress)}
        (folder / "watch.json").write_text(json.dumps(watch))
        config = parse_arguments(["--run-dir", str(folder), "--watch", str(folder / "watch.json")])
        self._snapshot = Snapshot(discover_collectors(config), constant=[], timeout_seconds=10)
        self._memory: dict[str, Any] = {}

    def judge(self, now: float) -> dict[str, Verdict]:
        """What each rule says of a collection at this Unix time, knowing what it remembers of those before."""
        self._snapshot.refresh(now)
        page = parse(self._snapshot.page.plain.decode())
        verdicts = {}
        for name in ("PeerFailed", "PeerStalled", "ProgressMissing"):
            rule, settings = RULES[name], RULES[name].settings()
            view = View("a", now, page, memory=self._memory.get(name, {}))
            self._memory[name] = rule.remember(view, settings) if rule.remember else {}
            verdicts[name] = rule.judge(view._replace(memory=self._memory[name]), settings)
        return verdicts


@pytest.mark.parametrize(
    ("script", "condition", "summary"),
    [
        ("exit 0", "inactive", "Trainer finished."),
        ("exit 1", "active", "Trainer ended with exit code 1."),
        ("kill -KILL $$", "active", "Trainer ended by signal SIGKILL."),
        ("kill -TERM $$", "inactive", "Trainer was stopped."),
    ],
)
def test_a_command_that_ended_is_told_with_how(tmp_path: Path, script: str, condition: str, summary: str) -> None:
    runner = [sys.executable, "-m", "fleet.processes.command", "--run-dir", str(tmp_path), "--", "sh", "-c", script]
    subprocess.run(runner, check=False, capture_output=True)
    verdict = Watched(tmp_path).judge(time.time())["PeerFailed"]
    assert (verdict.condition, verdict.summary) == (condition, summary)


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A trainer that somebody else has started."""
    (tmp_path / "train.py").write_text(TRAINER)
    command = [sys.executable, "train.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        _wait_for_line(process)
        yield process
        process.kill()


def _wait_for_line(process: "subprocess.Popen[str]") -> None:
    assert process.stdout
    process.stdout.readline()


def _say(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_an_attached_trainer_that_the_kernel_killed_for_memory_is_told_so(tmp_path: Path) -> None:
    with memory_group(64 << 20) as group:
        command = [sys.executable, "-c", EATER, str(group)]
        with subprocess.Popen(
            command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            _wait_for_line(process)
            watched = Watched(tmp_path, {"command": str(group)})
            assert watched.judge(time.time())["PeerFailed"].summary == "Trainer running."
            _say(process)
            assert process.wait(timeout=60) == -signal.SIGKILL
        verdict = watched.judge(time.time())["PeerFailed"]
    assert (verdict.condition, verdict.summary) == ("active", "The kernel killed the trainer: out of memory.")


def test_how_an_attached_trainer_ended_otherwise_is_not_known(tmp_path: Path, trainer: "subprocess.Popen[str]") -> None:
    watched = Watched(tmp_path, {"folder": str(tmp_path), "command": r"train\.py"})
    assert watched.judge(time.time())["PeerFailed"].summary == "Trainer running."
    trainer.kill()
    trainer.wait()
    verdict = watched.judge(time.time())["PeerFailed"]
    assert (verdict.condition, verdict.summary) == ("inactive", "How the trainer ended is not known.")


@pytest.mark.parametrize("works", [True, False])
def test_a_silent_log_is_the_readers_of_a_trainer_that_works_and_the_trainers_of_one_that_rests(
    tmp_path: Path, trainer: "subprocess.Popen[str]", works: bool
) -> None:
    # As if it had run for a minute; only the processor's time is real.
    now = time.time() + 62
    rows = [{"step": step, "time": now - 61 + step, "loss": 0.5} for step in range(61)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    os.utime(tmp_path / "log.jsonl", (now, now))
    find = {"folder": str(tmp_path), "command": r"train\.py"}
    watched = Watched(tmp_path, find, ({"jsonl": {"path": "log.jsonl"}},))
    for at in (now, now + 8):
        verdicts = watched.judge(at)
        assert {verdict.condition for verdict in verdicts.values()} <= {"inactive"}
    if works:
        _say(trainer)
        _wait_for_line(trainer)
    verdicts = watched.judge(now + 14)
    firing = {name for name, verdict in verdicts.items() if verdict.condition == "active"}
    assert firing == {"ProgressMissing" if works else "PeerStalled"}
    summary = verdicts[firing.pop()].summary
    if works:
        assert summary.startswith("No report of progress read for 15 s (jsonl); limit")
        assert "CPU busy: 0.5 s used in 6 s." in summary
    else:
        assert summary.startswith("No progress for 15 s while training; limit")
        assert "CPU idle: 0.0 s used in 6 s." in summary
