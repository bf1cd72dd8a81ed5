"""A killed test run leaves no process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.fakes import still_alive, wait_for

ROOT = Path(__file__).parents[1]
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
RUN = f"""
import subprocess, time
from tests.orphans import OrphanGuard
with OrphanGuard():
    print(subprocess.Popen({SLEEP}, stdout=subprocess.DEVNULL, start_new_session=True).pid, flush=True)
    input()
"""


def start_run() -> tuple[subprocess.Popen[str], psutil.Process]:
    run = subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout
    return run, psutil.Process(int(run.stdout.readline()))


def test_what_a_killed_run_started_is_ended() -> None:
    run, started = start_run()
    with run:
        run.send_signal(signal.SIGKILL)
    wait_for(lambda: not still_alive([started]), 20, "the end of the process")


def test_a_run_that_ends_normally_is_left_alone() -> None:
    run, started = start_run()
    with run:
        guards = [one for one in psutil.Process(run.pid).children() if one.pid != started.pid]
        run.communicate("\n")
    wait_for(lambda: not still_alive(guards), 20, "the end of the guard")
    assert still_alive([started])
    started.kill()
