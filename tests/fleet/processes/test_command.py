"""A command as a peer's trainer: which process it is, how it ends, and that signals reach it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alerts.restarts.ending import end_trainer
from exporter.collectors.ending import Collector
from exporter.config import SidecarConfig
from exporter.run_folder import find_trainer, read_ending
from tests.fakes import wait_for
from tests.memory_group import memory_group

SCRIPT = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("ready", flush=True)
time.sleep(600)
"""


def runner(run_dir: Path) -> list[str]:
    return [sys.executable, "-m", "fleet.processes.command", "--run-dir", str(run_dir), "--"]


@contextmanager
def running(run_dir: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*runner(run_dir), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if trainer := find_trainer(run_dir):
            trainer.kill()
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("code", "recorded", "status"),
    [
        ("pass", 0, 100),
        ("raise SystemExit(3)", 3, 3),
        # A launcher would take these for its own.
        ("raise SystemExit(2)", 2, 1),
        ("raise SystemExit(100)", 100, 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137, 137),
    ],
)
def test_the_end_is_recorded_and_passed_on(code: str, recorded: int, status: int, tmp_path: Path) -> None:
    with running(tmp_path, sys.executable, "-c", code) as process:
        assert process.wait(timeout=60) == status
    ending = read_ending(tmp_path)
    assert ending is not None
    assert ending.exit_code == recorded
    assert abs(ending.at - time.time()) < 60
    found = {one.name: one.value for one in Collector.configured(SidecarConfig(tmp_path)).collect(time.time())}
    assert found["trainer_exit_code"] == recorded


def test_a_signal_reaches_the_command_and_its_own_end_counts(tmp_path: Path) -> None:
    with running(tmp_path, sys.executable, "-c", SCRIPT) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        wait_for(lambda: find_trainer(tmp_path), 20, "the record of the process")
        assert Collector.configured(SidecarConfig(tmp_path)).collect(time.time()) == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 7
    ending = read_ending(tmp_path)
    assert ending is not None
    assert ending.exit_code == 7


def test_one_that_was_ended_for_a_restart_is_started_again_although_it_exits_cleanly(tmp_path: Path) -> None:
    with running(tmp_path, sys.executable, "-c", SCRIPT.replace("exit(7)", "exit(0)")) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        wait_for(lambda: find_trainer(tmp_path), 20, "the record of the process")
        assert end_trainer(tmp_path)
        assert process.wait(timeout=60) == 143
    # The next one finishes.
    with running(tmp_path, sys.executable, "-c", "pass") as process:
        assert process.wait(timeout=60) == 100


def test_what_cannot_be_run_is_one_line(tmp_path: Path) -> None:
    with running(tmp_path, "no-such-program") as process:
        output, _ = process.communicate(timeout=60)
        assert (process.returncode, output) == (127, "no-such-program: No such file or directory\n")


def test_a_kill_for_memory_is_told_apart(tmp_path: Path) -> None:
    eater = f"""
import os, sys
sys.stdin.readline()
open(os.path.join(sys.argv[1], "cgroup.procs"), "w").write(str(os.getpid()))
print("within", flush=True)
sys.stdin.readline()
ballast = bytearray(b"x" * ({512 << 20}))
"""
    with memory_group(128 << 20) as group:
        process = subprocess.Popen(
            [*runner(tmp_path), sys.executable, "-c", eater, str(group)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        with process:
            assert process.stdin
            assert process.stdout
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "within\n"
            wait_for(lambda: find_trainer(tmp_path), 20, "the record of the process")
            collector = Collector.configured(SidecarConfig(tmp_path))
            assert collector.collect(time.time()) == []
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.wait(timeout=60) == 137
        found = {one.name: one.value for one in collector.collect(time.time())}
    assert found["trainer_oom_killed"] == 1
    assert found["trainer_exit_code"] == 137
