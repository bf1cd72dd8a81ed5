"""How a trainer ended, from its real process through the sidecar's page and the rules to what a message says."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.engine.evaluate import Event, Key
from alerts.evidence.gather import gather
from alerts.i18n.zh_cn import WORDS as CHINESE
from alerts.messages.single import Style, render
from alerts.rules import View, discover
from alerts.scraping.page import parse
from exporter.collectors import discover as discover_collectors
from exporter.config import SidecarConfig
from exporter.run_folder import find_trainer
from exporter.snapshot import Snapshot
from exporter.watch_file import WATCH_FILE, read_watch
from tests.fakes import wait_for
from tests.memory_group import memory_group

# Prints as transformers' Trainer does once it is told to, waits for a second line, and ends as its argument says.
TRAINER = """
import os, signal, sys
for group in sys.argv[3:]:
    open(group, "w").write(str(os.getpid()))
print("ready", file=sys.stderr, flush=True)
sys.stdin.readline()
for step in range(1, int(sys.argv[1]) + 1):
    print({"loss": 0.5, "grad_norm": 0.1, "reward": step / 100, "epoch": step / 100})
    print(f"\\r {step * 12}%|###     | {step}/8 [00:01<00:20,  1.07s/it]", end="", flush=True)
print(flush=True)
sys.stdin.readline()
exec(sys.argv[2])
"""
OUT_OF_MEMORY = "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB."
NO_PEERS = "RuntimeError: DHTNode bootstrap failed: none of the initial_peers responded to a ping."


class Trainer:
    """A trainer and what sidecar and rules make of it, one look after the other."""

    def __init__(self, run_dir: Path, log: Path, command: list[str], steps: int, watch: dict[str, Any]) -> None:
        self.run_dir = run_dir
        run_dir.mkdir()
        (run_dir / WATCH_FILE).write_text(json.dumps({"folder": str(log.parent), **watch}))
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=log.parent, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
            )
        wait_for(lambda: b"ready" in log.read_bytes(), 30, "the trainer's first line", every=0.02)
        config = SidecarConfig(run_dir, watch=read_watch(run_dir / WATCH_FILE))
        self._sidecar = Snapshot(discover_collectors(config), constant=(), timeout_seconds=60)
        self._memory: dict[str, Any] = {}
        if not watch["find"]:
            # The command may be ahead of what runs it.
            wait_for(lambda: find_trainer(run_dir), 30, "the record of the process", every=0.02)
        self.look()
        assert find_trainer(run_dir)
        self._go_on()
        wait_for(lambda: f"{steps}/8 [".encode() in log.read_bytes(), 30, "the steps", every=0.02)
        # What two looks see is a step.
        self.look()

    def look(self) -> dict[str, str]:
        """The rules about the end that fire now, each with its sentence."""
        now = time.time()
        self._sidecar.refresh(now)
        page = parse(self._sidecar.page.plain.decode())
        found = {}
        for name in ("PeerDown", "PeerFailed"):
            rule = discover()[name]
            view = View("a", now, page, memory=self._memory.get(name, {}))
            self._memory[name] = rule.remember(view, rule.settings()) if rule.remember else {}
            verdict = rule.judge(view._replace(memory=self._memory[name]), rule.settings())
            if verdict.condition == "active":
                found[name] = verdict.summary
        return found

    def end(self) -> dict[str, str]:
        """The same once it has ended as it was told to."""
        self._go_on()
        self.process.wait(timeout=60)
        return self.look()

    def describe(self, rule: str) -> list[str]:
        """The evidence that goes with the message."""
        return gather(discover()[rule].evidence, self.run_dir).splitlines()

    def close(self) -> None:
        if trainer := find_trainer(self.run_dir):
            trainer.kill()
        self.process.kill()
        self.process.communicate()

    def _go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()


Start = Callable[..., Trainer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a command of Peerwatch's own, or with `attached` a trainer that somebody else starts."""
    started: list[Trainer] = []

    def start(end: str, *arguments: str, steps: int = 3, attached: bool = False) -> Trainer:
        words = [sys.executable, "-u", "-c", TRAINER, str(steps), end, *arguments]
        run_dir = tmp_path / "run"
        log = tmp_path / "train.log" if attached else tmp_path / "own.log"
        runner = [sys.executable, "-m", "fleet.processes.command", "--run-dir", str(run_dir), "--"]
        readers = [{"log": {"path": log.name}}]
        find = {"folder": str(tmp_path), "command": "grad_norm"} if attached else {}
        started.append(
            Trainer(run_dir, log, words if attached else [*runner, *words], steps, {"find": find, "progress": readers})
        )
        return started[-1]

    yield start
    for trainer in started:
        trainer.close()


def test_a_trainer_that_finished_is_no_alert(start: Start) -> None:
    assert start("sys.exit(0)").end() == {}


def test_an_exception_is_named_with_the_exit_code(start: Start) -> None:
    trainer = start("raise ValueError('no such column: prompt; token=hunter2x9')")
    assert trainer.end()["PeerFailed"] == "Trainer ended with exit code 1."
    lines = trainer.describe("PeerFailed")
    assert lines[0] == "Last exception: ValueError: no such column: prompt; token=***"
    assert lines[1].endswith("ends:")
    assert lines[-1] == "| ValueError: no such column: prompt; token=***"


@pytest.mark.parametrize(
    ("line", "problem", "remedy"),
    [
        (OUT_OF_MEMORY, "a step needed more memory than there is", "lower the batch size"),
        (NO_PEERS, "the swarm's initial peers could not be reached", "check the network"),
    ],
)
def test_a_known_crash_is_named_with_its_remedy(start: Start, line: str, problem: str, remedy: str) -> None:
    kind, _, text = line.partition(": ")
    trainer = start(f"raise {kind}({text!r})")
    assert "PeerFailed" in trainer.end()
    lines = trainer.describe("PeerFailed")
    assert lines[0] == f"Last exception: {line}"
    assert lines[1].startswith(f"Known problem: {problem}. Remedy: {remedy}")
    evidence = gather(discover()["PeerFailed"].evidence, trainer.run_dir, CHINESE)
    event = Event(Key("PeerFailed", "a"), "firing", 1e9, 1e9, "critical", "", evidence)
    body = render(event, Style("demo", CHINESE)).body
    assert f"最后的异常：{line}\n已知问题：" in body
    assert problem not in body
    assert remedy not in body


def test_a_kill_is_named_as_a_signal(start: Start) -> None:
    trainer = start("os.kill(os.getpid(), signal.SIGKILL)")
    assert trainer.end()["PeerFailed"] == "Trainer ended by signal SIGKILL."
    # Its log says nothing of it.
    assert trainer.describe("PeerFailed")[0].endswith("own.log ends:")


def test_a_stop_by_a_person_is_no_failure(start: Start) -> None:
    assert "PeerFailed" not in start("os.kill(os.getpid(), signal.SIGTERM)").end()


@pytest.mark.parametrize("attached", [False, True])
def test_a_kill_for_memory_is_told_by_the_kernel(start: Start, attached: bool) -> None:
    eat = "ballast = bytearray(b'x' * (512 << 20))"
    with memory_group(128 << 20) as group:
        trainer = start(eat, str(group / "cgroup.procs"), attached=attached)
        assert trainer.end()["PeerFailed"] == "The kernel killed the trainer: out of memory."


def test_an_attached_trainer_that_did_all_its_steps_is_no_alert(start: Start) -> None:
    assert start("sys.exit(0)", steps=8, attached=True).end() == {}


def test_an_attached_trainer_that_did_not_is_down_with_its_last_lines(start: Start, tmp_path: Path) -> None:
    trainer = start(f"raise RuntimeError({OUT_OF_MEMORY[14:]!r})", attached=True)
    assert trainer.look() == {}
    assert trainer.end() == {"PeerDown": "Trainer process gone; last state: training."}
    lines = trainer.describe("PeerDown")
    assert lines[0] == f"Last exception: {OUT_OF_MEMORY}"
    assert lines[1].startswith("Known problem: a step needed more memory than there is. Remedy: lower the batch size")
    assert lines[2].endswith("train.log ends:")
    assert lines[-1] == f"| {OUT_OF_MEMORY}"


def test_an_attached_trainer_that_runs_has_no_cause_of_its_end(start: Start, tmp_path: Path) -> None:
    trainer = start("pass", attached=True)
    with (tmp_path / "train.log").open("a") as log:
        log.write("Traceback (most recent call last):\nValueError: it was caught\n")
    assert gather(("cause",), trainer.run_dir) == ""
    assert "| ValueError: it was caught" in gather(("log",), trainer.run_dir)
