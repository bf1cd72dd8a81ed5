"""Whether the function that trains was left is found from its thread's stack, where there is one."""

import subprocess
import sys
import threading
import time

from exporter.progress.training_loop import HANDLER, find_training_loop
from tests.fakes import wait_for

# As the handler of transformers does, which calls the callback.
handler = {"__name__": HANDLER, "find": find_training_loop}
exec("def notify(): return find()", handler)
notify = handler["notify"]

INTERRUPTED = """
import sys, threading, time
from tests.exporter.progress.test_training_loop import notify

def train():
    global loop
    loop = notify()
    assert loop.is_calling()
    assert not loop.is_left()
    print("trains", flush=True)
    raise KeyboardInterrupt

def watch():
    main = threading.main_thread().ident
    while main in sys._current_frames():
        time.sleep(0.01)
    while not loop.is_left():
        time.sleep(0.01)
    print("left", flush=True)

try:
    train()
finally:
    threading.Thread(target=watch, daemon=True).start()
"""


def test_a_training_is_left_at_a_prompt_of_python():
    """Where the main thread has no stack, as at the end of a program."""
    command = [sys.executable, "-i", "-c", INTERRUPTED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        killer = threading.Timer(60, child.kill)
        killer.start()
        try:
            assert child.stdout.readline() == b"trains\n"
            assert child.stdout.readline() == b"left\n"
        finally:
            killer.cancel()
            child.kill()


def test_a_training_is_left_when_its_thread_has_ended():
    found = []

    def train():
        found.append(notify())

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found[0].is_left()


def test_a_training_is_not_left_while_its_thread_shows_half_a_stack():
    """A generator that yields while its stack is read belongs to no caller any more."""
    found, is_over = [], threading.Event()

    def numbers():
        while not is_over.is_set():
            yield from range(3)

    def train():
        found.append(notify())
        for _ in numbers():
            pass

    thread = threading.Thread(target=train)
    thread.start()
    try:
        wait_for(lambda: found, 60, "the training")
        began = time.monotonic()
        while time.monotonic() - began < 0.5:
            assert not found[0].is_left()
    finally:
        is_over.set()
        thread.join()
    assert found[0].is_left()
