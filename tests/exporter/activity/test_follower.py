"""The sidecar tells what a trainer does and how long it may be silent, and goes on where an earlier one was."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from exporter.accelerators.peer import PeerReading
from exporter.accelerators.reading import Device
from exporter.activity.activity_file import ACTIVITY_FILE
from exporter.activity.follower import ActivityFollower
from exporter.activity.usage import UsageMeter
from exporter.metrics import STATES, Sample, families
from exporter.pace import Pace
from exporter.run_folder import ProcessRecord
from exporter.system.process_identity import ProcessIdentity, identify
from exporter.textfile_reader import value_of

START = 1_700_000_000.0


class Reported:
    """What a trainer reports: steps of 20 s until it hangs."""

    def __init__(self):
        self.now = self.last_step = START
        self.state, self.failure = "training", None
        self.pace = Pace()
        self.seconds = {}

    def read(self, now):
        if self.failure is not None:
            raise self.failure
        numbers = {
            "trainer_phase_start_timestamp_seconds": START - 9,
            "trainer_last_step_timestamp_seconds": self.last_step,
            "trainer_stall_after_seconds": 60.0,
        }
        if self.state in ("generating", "training"):
            numbers["trainer_stall_at_rest_after_seconds"] = 40.0
        if self.state == "saving":
            numbers["trainer_stall_after_seconds"] = self.pace.stall_after("saving")
            if at_rest := self.pace.stall_at_rest_after("saving"):
                numbers["trainer_stall_at_rest_after_seconds"] = at_rest
        states = [Sample("trainer_state", {"trainer_state": one}, float(one == self.state)) for one in STATES]
        states += [Sample("trainer_phase_seconds_total", {"trainer_state": one}, s) for one, s in self.seconds.items()]
        return states + [Sample(name, {}, value) for name, value in numbers.items()]


class Sidecar:
    def __init__(self, run_dir, reported, record=None, **options):
        self.reported, self.cpu = reported, 0.0
        self.record = record or ProcessRecord(identify())
        self.follower = ActivityFollower(run_dir, reported, meter=UsageMeter(clock=lambda: reported.now), **options)
        self.samples = []
        self.collect(1, 0.0)

    def collect(self, count, cores, *, steps=False):
        for _ in range(count):
            self.reported.now += 5.0
            self.cpu += 5.0 * cores
            if steps and self.reported.now - self.reported.last_step >= 20:
                self.reported.last_step = self.reported.now - 1
            self.samples = self.follower.follow([psutil.Process()], self.record, self.cpu, self.reported.now)
        families(self.samples)
        return self

    def state(self):
        return next(one.labels["trainer_activity_state"] for one in self.samples if one.value and one.labels)

    def value(self, name):
        return value_of(self.samples, f"trainer_activity_{name}")


@pytest.fixture
def sidecar(tmp_path):
    return Sidecar(tmp_path, Reported()).collect(300, 1.5, steps=True)


def test_the_page_tells_what_it_does_what_is_usual_and_how_long_it_may(sidecar):
    sidecar.collect(6, 1.5)
    assert sidecar.state() == "usual"
    assert (sidecar.value("cores"), sidecar.value("usual_cores")) == (1.5, 1.5)
    assert sidecar.value("stall_after_seconds") == 180.0
    sidecar.collect(10, 0.0)
    assert sidecar.state() == "rest"
    assert sidecar.value("stall_after_seconds") < 80.0


@pytest.mark.parametrize("state", ["waiting", "saving", "starting", "stopped"])
def test_in_a_phase_that_need_not_step_its_own_limit_holds(sidecar, state):
    sidecar.reported.state = state
    sidecar.collect(6, 0.0)
    assert sidecar.state() == "unknown"
    assert sidecar.value("stall_after_seconds") is None
    assert sidecar.value("cores") == 0.0


SAVE = "import sys\nwhile sys.stdin.readline(): open('/dev/null', 'wb').write(bytes(1 << 22)); print(flush=True)"


@pytest.fixture
def saver():
    """A process that writes 4 MB for each line that it gets, and says so."""
    with subprocess.Popen([sys.executable, "-c", SAVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        # Its own start, which reads and computes, is over then.
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        yield process
        process.kill()


def save(sidecar, saver, collections, *, writes=False):
    for _ in range(collections):
        if writes:
            saver.stdin.write(b"\n")
            saver.stdin.flush()
            saver.stdout.readline()
        sidecar.reported.now += 5.0
        tree = [psutil.Process(saver.pid)]
        cpu = sum(tree[0].cpu_times()[:2])
        sidecar.samples = sidecar.follower.follow(tree, sidecar.record, cpu, sidecar.reported.now)
    return sidecar.state(), sidecar.value("stall_after_seconds")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the bytes of a process")
def test_a_save_that_hangs_is_a_stall_where_saves_are_short_and_one_that_writes_is_not(tmp_path, saver):
    sidecar = Sidecar(tmp_path, Reported())
    sidecar.reported.state, sidecar.reported.last_step = "saving", START + 5
    save(sidecar, saver, 1, writes=True)
    assert save(sidecar, saver, 2) == ("unknown", None)
    for _ in range(3):
        sidecar.reported.pace.add_save(0.1)
    assert save(sidecar, saver, 3, writes=True) == ("unknown", None)
    assert save(sidecar, saver, 2) == ("rest", 150.0)


def test_a_trainer_stopped_by_a_signal_while_it_saves_is_a_stall_after_a_minute_and_goes_on(tmp_path, saver):
    sidecar = Sidecar(tmp_path, Reported())
    sidecar.reported.state, sidecar.reported.last_step = "saving", START + 5
    assert save(sidecar, saver, 2) == ("unknown", None)
    saver.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, saver.pid, os.WSTOPPED)
    assert save(sidecar, saver, 2) == ("rest", 70.0)
    saver.send_signal(signal.SIGCONT)
    os.waitid(os.P_PID, saver.pid, os.WCONTINUED)
    assert save(sidecar, saver, 1, writes=True) == ("unknown", None)


@pytest.mark.parametrize("failure", [OSError("gone"), ValueError("damaged")])
def test_a_trainer_that_reports_nothing_readable_costs_nothing_else(sidecar, failure):
    sidecar.reported.failure = failure
    assert sidecar.collect(2, 1.5).value("usual_cores") == 1.5


class Card:
    """The accelerator of the trainer, as the probe's answers make it."""

    def __init__(self):
        self.is_busy, self.watts, self.failure = True, 600.0, None

    def read(self, now):
        if self.failure is not None:
            raise self.failure
        values = {"utilization_ratio": 1.0, "power_watts": self.watts, "power_limit_watts": 700.0}
        return PeerReading((Device("a", values=values),), {}, self.is_busy)


def test_a_card_that_idles_or_waits_for_other_ranks_rests_whatever_the_processor_does(tmp_path):
    card = Card()
    sidecar = Sidecar(tmp_path, Reported(), accelerator=card).collect(300, 1.0, steps=True)
    assert sidecar.collect(6, 0.0).state() == "usual"
    card.is_busy, card.watts = None, 120.0
    assert sidecar.collect(2, 1.0).state() == "rest"
    card.is_busy = False
    assert sidecar.collect(2, 1.0).state() == "rest"


def test_a_card_of_which_nothing_is_told_leaves_it_to_the_processor(tmp_path):
    card = Card()
    sidecar = Sidecar(tmp_path, Reported(), accelerator=card).collect(300, 1.0, steps=True)
    card.is_busy = None
    assert sidecar.collect(6, 1.0).state() == "usual"
    card.failure = OSError("no answer can be shared")
    assert sidecar.collect(6, 0.0).state() == "rest"


# Where nothing tells a phase from its neighbours, a rest may be a longer step that waits for a server.
@pytest.mark.parametrize(("tells_seconds", "limit"), [(True, 40.0), (False, pytest.approx(3.5 * (20.0 * 60.0) ** 0.5))])
def test_steps_shorter_than_a_collection_are_known_by_the_trainers_own_seconds_in_the_phase(
    tmp_path, tells_seconds, limit
):
    reported = Reported()
    sidecar = Sidecar(tmp_path, reported)
    for _ in range(40):
        reported.last_step = reported.now + 4.0
        if tells_seconds:
            reported.seconds = {"training": reported.now - START, "waiting": 1.0}
        sidecar.collect(1, 1.5)
    reported.last_step = reported.now
    assert sidecar.collect(4, 0.0).state() == "rest"
    assert sidecar.value("stall_after_seconds") == limit


def test_a_sidecar_that_is_restarted_knows_the_trainer_at_once(sidecar, tmp_path):
    assert (tmp_path / ACTIVITY_FILE).stat().st_size > 0
    later = Sidecar(tmp_path, sidecar.reported)
    later.reported.last_step = later.reported.now
    assert later.collect(6, 0.0).state() == "rest"


def test_of_another_process_it_must_be_confirmed(sidecar, tmp_path):
    other = ProcessRecord(ProcessIdentity(pid=1, create_time=START))
    later = Sidecar(tmp_path, sidecar.reported, other)
    assert later.collect(6, 0.0).state() == "unknown"
    sidecar.record = other
    assert sidecar.collect(6, 0.0).state() == "unknown"


def test_a_damaged_file_or_a_full_disk_is_one_line_in_the_log(tmp_path, caplog):
    (tmp_path / ACTIVITY_FILE).write_text("{")
    sidecar = Sidecar(tmp_path / ".", Reported())
    assert caplog.text.count("is not used") == 1
    sidecar.follower._path = tmp_path / "missing" / ACTIVITY_FILE
    sidecar.collect(120, 1.5, steps=True)
    assert caplog.text.count("cannot keep what is usual") == 1
    assert sidecar.value("usual_cores") == 1.5
