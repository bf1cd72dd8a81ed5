"""A stop takes effect in time, whatever the main thread is doing; tested on real processes."""

import signal
import subprocess
import sys

import pytest

# `ready` asks for the signal, `wait` lasts until it has come and some seconds more, and `told` ends the interruptions
# as the trainer does: one that comes while Python exits would end it as a signal without a handler.
PRELUDE = """
import signal, sys, time
from trainer.stopping import Stopper, StopRequested
stopper = Stopper(grace_seconds={grace}, deadline_seconds={deadline})
def ready(): print("ready", flush=True)
def wait(seconds):
    while not stopper.is_requested: time.sleep(0.01)
    time.sleep(seconds)
def told(text):
    stopper.disarm()
    print(text)
"""
ENFORCE = "stopper.enforce_deadline()\n"


def run(
    body: str,
    number: signal.Signals = signal.SIGTERM,
    *,
    enforce: str = ENFORCE,
    grace: float = 0.3,
    deadline: float = 60.0,
) -> tuple[int, str]:
    """Runs the body and signals it once it is ready; its exit code and further output."""
    program = PRELUDE.format(grace=grace, deadline=deadline) + enforce + body
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_outside_a_step_it_is_immediate(number: signal.Signals) -> None:
    body = """
try:
    ready()
    time.sleep(600)
except StopRequested: told("stopped")
"""

    assert run(body, number, grace=600) == (0, "stopped\n")


def test_a_short_step_finishes() -> None:
    body = """
stopper.begin_step()
ready()
wait(0.1)
stopper.end_step()
print(stopper.is_requested)
stopper.disarm()
"""

    assert run(body, grace=30) == (0, "True\n")


def test_a_long_step_is_abandoned_even_if_something_swallows_it_once() -> None:
    body = """
stopper.begin_step()
try:
    try:
        ready()
        time.sleep(600)
    except: print("swallowed")
    time.sleep(600)
except StopRequested: told("abandoned")
"""
    assert run(body) == (0, "swallowed\nabandoned\n")


def test_a_shielded_section_is_not_interrupted() -> None:
    body = """
stopper.begin_step()
try:
    with stopper.shield():
        ready()
        wait(0.6)
        print("whole")
    time.sleep(600)
except StopRequested: told("abandoned")
"""
    assert run(body) == (0, "whole\nabandoned\n")


def test_a_stop_during_a_save_reaches_the_wait_that_follows() -> None:
    body = """
try:
    with stopper.shield():
        ready()
        wait(0.1)
    time.sleep(600)
except StopRequested: told("stopped")
"""
    assert run(body) == (0, "stopped\n")


def test_a_delayed_stop_takes_effect_at_the_blocks_end() -> None:
    body = """
from trainer.stopping import delayed
try:
    with delayed():
        ready()
        while not signal.sigpending(): time.sleep(0.01)
        time.sleep(0.1)
        print("whole")
    time.sleep(600)
except StopRequested: told("stopped")
"""
    assert run(body, enforce="") == (0, "whole\nstopped\n")


def test_nothing_interrupts_the_exit() -> None:
    body = "stopper.begin_step()\nready()\nwait(0)\nstopper.disarm()\ntime.sleep(0.8)\nprint('out')"

    assert run(body) == (0, "out\n")


def test_a_stuck_main_thread_is_ended_at_the_deadline() -> None:
    body = """
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
with stopper.shield():
    ready()
    while True: time.sleep(1)
"""
    assert run(body, deadline=1.0) == (0, "")
