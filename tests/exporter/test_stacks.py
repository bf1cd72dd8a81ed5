"""SIGUSR1 writes a trainer's stacks, unless somebody else took the signal."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="the system has no SIGUSR1")

PROGRAM = """
import faulthandler, os, signal, sys, time
from pathlib import Path
from exporter import stacks
first, second = Path(sys.argv[1]), Path(sys.argv[2])
def own(*_): print("own handler")
def dumped(folder): return (folder / "stacks.log").exists() and "in <module>" in (folder / "stacks.log").read_text()
def send():
    os.kill(os.getpid(), signal.SIGUSR1); time.sleep(0.01)
"""


def run(tmp_path, code):
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + textwrap.dedent(code), *map(str, folders)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("stacks.register(first); send(); print(stacks.is_registered(), dumped(first))", "True True"),
        # Somebody was there before: in Python, in C, or to be deaf.
        ("signal.signal(10, own); stacks.register(first); send(); print(stacks.is_registered())", "own handler False"),
        (
            "faulthandler.register(signal.SIGUSR1, file=sys.stdout); stacks.register(first); send();"
            "print(stacks.is_registered(), dumped(first), flush=True)",
            "False False",
        ),
        (
            "signal.signal(10, signal.SIG_IGN); stacks.register(first); send(); print(stacks.is_registered())",
            "False",
        ),
        # Somebody comes later, and stays.
        (
            "stacks.register(first); signal.signal(signal.SIGUSR1, own); stacks.register(second); send();"
            "print(stacks.is_registered(), dumped(first))",
            "own handler False False",
        ),
        # Another run folder in the same process.
        (
            "stacks.register(first); stacks.register(second); send(); print(dumped(first), dumped(second))",
            "False True",
        ),
        ("stacks.register(Path('/nonexistent')); print(stacks.is_registered())", "False"),
    ],
)
def test_the_signal_is_taken_only_from_nobody(tmp_path, code, said):
    ran = run(tmp_path, code.replace("signal.signal(10,", "signal.signal(signal.SIGUSR1,"))
    assert ran.returncode == 0, ran.stderr
    assert " ".join(line for line in ran.stdout.split("\n") if line[:3] in ("own", "Tru", "Fal")) == said
