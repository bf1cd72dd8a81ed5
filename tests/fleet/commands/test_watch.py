"""`peerwatch watch` with a real command: its output, its status, an alert on failure, and nothing left behind."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.run_folder import find_trainer
from fleet.commands.watch import take_port
from fleet.configuration.checks import find_free_ports
from tests.fakes import descendants, reserve_ports, still_alive, wait_for
from tests.fleet.commands.test_commands import ROOT

# Prints as transformers' Trainer does.
TRAINER = """
import os, sys, time
for step in range(1, int(sys.argv[1])):
    print({"loss": 0.5, "grad_norm": 0.1, "reward": step / 100, "epoch": step / 100})
    time.sleep(0.3)
while not os.path.exists("enough"):
    time.sleep(0.05)
sys.exit(int(sys.argv[2]))
"""
ALERTS = "fleet: other\nalerts: {interval: 1s}\n"


@contextlib.contextmanager
def start(folder: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    (folder / "peerwatch.yaml").write_text(ALERTS)
    (folder / "train.py").write_text(TRAINER)
    watch = subprocess.Popen(
        [sys.executable, "-m", "fleet", "watch", "--state-dir", "state", "--", *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores it, and so would all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield watch
    finally:
        for process in descendants(watch.pid):
            process.kill()
        watch.kill()
        watch.communicate()


def test_a_command_that_fails_is_shown_notified_and_its_status_passed_on(tmp_path: Path) -> None:
    with start(tmp_path, sys.executable, "train.py", "12", "3") as watch:
        wait_for(lambda: len(descendants(watch.pid)) >= 4, 30, "the command, its sidecar, the alert loop and a guard")
        family = descendants(watch.pid)
        (tmp_path / "enough").touch()
        output, messages = watch.communicate(timeout=240)
    assert watch.returncode == 3
    assert output.splitlines()[0] == "{'loss': 0.5, 'grad_norm': 0.1, 'reward': 0.01, 'epoch': 0.01}"
    assert len(output.splitlines()) == 11
    assert (tmp_path / "state" / "peers" / "train" / "trainer.log").read_text() == output
    assert "PeerFailed: train: Trainer ended with exit code 3." in messages
    assert messages.splitlines()[-1] == "peerwatch: train ended with exit code 3"
    assert "Traceback" not in messages
    wait_for(lambda: not still_alive(family), 20, "the end of every process")


def test_an_interrupt_goes_to_the_command_and_a_kill_leaves_only_the_command(tmp_path: Path) -> None:
    with start(tmp_path, sys.executable, "train.py", "2000", "0") as watch:
        run_folder = tmp_path / "state" / "peers" / "train"
        log = run_folder / "trainer.log"
        wait_for(lambda: log.exists() and log.stat().st_size, 30, "the command's first line")
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=240)
        assert watch.returncode == 130
    with start(tmp_path, sys.executable, "train.py", "2000", "0") as watch:
        wait_for(lambda: len(descendants(watch.pid)) >= 4, 30, "the command, its sidecar, the alert loop and a guard")
        # It is written once the command runs; the earlier run has left one.
        trainer = wait_for(lambda: find_trainer(run_folder), 30, "the record of the command")
        assert trainer is not None
        others = [one for one in descendants(watch.pid) if one != trainer]
        watch.kill()
        watch.communicate()
        wait_for(lambda: not still_alive(others), 20, "the end of what watched it")
        assert still_alive([trainer])
        trainer.kill()


def test_ports_are_taken_before_anything_listens_on_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    wanted = reserve_ports(2)
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        ours = find_free_ports(wanted, lambda port: take_port(port, first))
        others = find_free_ports(wanted, lambda port: take_port(port, second))
        assert ours == wanted
        assert not {*ours} & {*others}
        first.close()
        with contextlib.ExitStack() as third:
            assert find_free_ports(wanted, lambda port: take_port(port, third)) == wanted


def test_what_cannot_be_started_is_one_line(tmp_path: Path) -> None:
    with start(tmp_path, "no-such-program") as watch:
        _, messages = watch.communicate(timeout=240)
    assert watch.returncode == 127
    assert messages.splitlines()[-1] == "peerwatch: no-such-program: No such file or directory"
