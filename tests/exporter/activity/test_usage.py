"""What a process tree does between two collections, of real processes and of what other systems say."""

import contextlib
import os
import subprocess
import sys
from collections import namedtuple

import psutil
import pytest

from exporter.activity.usage import LEAST_SECONDS, UsageMeter, read_machine, read_moved

WRITER = "import sys\nwith open('/dev/null', 'wb') as f: f.write(bytes(1 << 22))\nprint(flush=True)\nsys.stdin.read()"


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@contextlib.contextmanager
def writer():
    command = [sys.executable, "-c", WRITER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield psutil.Process(process.pid)
        process.kill()


def test_a_collection_tells_the_mean_since_the_one_before():
    clock, tree = Clock(), [psutil.Process()]
    meter = UsageMeter(clock=clock)
    assert meter.measure(tree, 10.0) is None
    clock.now += 5.0
    used = meter.measure(tree, 17.5, accelerator_busy=True)
    assert (used.seconds, used.cores, used.accelerator_busy) == (5.0, 1.5, True)


def test_a_collection_too_soon_after_another_is_left_to_the_next():
    clock, tree = Clock(), [psutil.Process()]
    meter = UsageMeter(clock=clock)
    meter.measure(tree, 10.0)
    clock.now += LEAST_SECONDS / 2
    assert meter.measure(tree, 10.1) is None
    clock.now += 5.0
    assert meter.measure(tree, 11.1).cores == pytest.approx(0.2)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the bytes of a process")
def test_bytes_that_a_process_writes_are_moved_and_those_of_one_that_ends_stay_counted():
    clock, this = Clock(), psutil.Process()
    meter = UsageMeter(clock=clock)
    with writer() as process:
        assert read_moved([process])[process] >= 1 << 22
        meter.measure([this, process], 1.0)
        clock.now += 5.0
        assert 0.0 <= meter.measure([this, process], 1.0).moved < 1 << 20
    clock.now += 5.0
    assert meter.measure([this, process], 1.0).moved >= 0.0


class Foreign:
    """A process of another system, with the calls that psutil has there."""

    def __init__(self, status="sleeping", counters=None):
        self._status, self._counters = status, counters

    def status(self):
        return self._status

    def __getattr__(self, name):
        if name == "io_counters" and self._counters is not None:
            return self._counters
        raise AttributeError(name)


def _raise(error):
    raise error


@pytest.mark.parametrize(
    "counters",
    [
        None,  # macOS
        lambda: _raise(psutil.AccessDenied(1)),  # another user's
        lambda: _raise(RuntimeError("/proc/1/io file was empty")),  # the first WSL
    ],
)
def test_bytes_that_cannot_be_read_of_one_process_are_unknown_of_the_tree(counters):
    assert read_moved([Foreign(counters=counters)]) is None


def test_pages_that_are_read_from_swap_are_moved():
    counts = namedtuple("counts", "read_bytes write_bytes read_chars write_chars")
    process = Foreign(counters=lambda: counts(5000, 0, 10, 1))
    assert read_moved([process]) == {process: 5001.0}


def test_a_process_that_has_ended_moves_nothing():
    assert read_moved([Foreign(counters=lambda: _raise(psutil.NoSuchProcess(1)))]) == {}


@pytest.mark.parametrize("status", ["disk-sleep", "sleeping", "stopped", "tracing-stop"])
def test_a_wait_for_the_disk_and_a_stop_are_told_by_the_run_state(status):
    clock = Clock()
    meter = UsageMeter(clock=clock)
    meter.measure([Foreign(status)], 1.0)
    clock.now += 5.0
    used = meter.measure([Foreign(status)], 1.0)
    assert (used.waits_for_disk, used.is_stopped) == (status == "disk-sleep", status == "stopped")


def test_the_machine_tells_how_much_of_it_is_in_use(monkeypatch):
    used, whole = read_machine()
    assert 0.0 < used < whole
    # As macOS and Linux name them; guests are part of user and nice.
    mac = namedtuple("mac", "user nice system idle")
    linux = namedtuple("linux", "user nice system idle iowait irq softirq steal guest guest_nice")
    for times in (mac(30.0, 0.0, 10.0, 60.0), linux(30.0, 0.0, 10.0, 50.0, 10.0, 0.0, 0.0, 0.0, 20.0, 0.0)):
        monkeypatch.setattr(psutil, "cpu_times", lambda times=times: times)
        assert read_machine() == (40.0, 100.0)


def test_a_stopped_process_uses_nothing():
    clock = Clock()
    meter = UsageMeter(clock=clock)
    tree = [psutil.Process(os.getpid())]
    meter.measure(tree, 3.0)
    clock.now += 5.0
    assert meter.measure(tree, 3.0).cores == 0.0
