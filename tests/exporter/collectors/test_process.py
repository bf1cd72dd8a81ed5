"""The process tree of a trainer is measured on real processes."""

import ast
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from exporter.activity.usage import TreeCounter
from exporter.collectors import CollectError
from exporter.collectors.process import Collector, add_accelerator
from exporter.config import SidecarConfig
from exporter.system.footprint import read_footprint
from exporter.system.machine import Limit
from exporter.textfile_reader import value_of

# A trainer with a DHT child that has a daemon of its own; the line says that all are there. Each line of input
# ends the process that it names.
TREE = """
import pathlib, subprocess, sys, time
from exporter.run_folder import write_process_record
if sys.argv[1] == "daemon":
    begin = time.process_time()
    while time.process_time() - begin < 0.2:
        pass
    print(flush=True)
    sys.stdin.read()
elif sys.argv[1] == "child":
    daemon = subprocess.Popen([sys.executable, "-c", sys.argv[2], "daemon", ""], stdin=subprocess.PIPE)
    sys.stdin.read()
    daemon.stdin.close()
    daemon.wait()
else:
    ballast = bytearray(b"x" * (64 << 20))
    write_process_record(pathlib.Path(sys.argv[2]))
    child = subprocess.Popen([sys.executable, "-c", sys.argv[3], "child", sys.argv[3]], stdin=subprocess.PIPE)
    sys.stdin.readline()
    child.stdin.close()
    child.wait()
    print(flush=True)
    sys.stdin.readline()
"""


class Trainer:
    def __init__(self, run_dir):
        arguments = [sys.executable, "-c", TREE, "trainer", str(run_dir), TREE]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def end_children(self):
        self.say()
        self.process.stdout.readline()

    def say(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        tree = [self.process, *psutil.Process(self.process.pid).children(recursive=True)] if self.is_alive() else []
        for process in tree:
            # The children end as soon as what they read from is gone.
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def is_alive(self):
        return self.process.poll() is None


@pytest.fixture
def trainer(tmp_path):
    started = Trainer(tmp_path)
    yield started
    started.end()


def memory(samples, kind):
    return next((r.value for r in samples if r.name == "trainer_memory_bytes" and r.labels == {"kind": kind}), None)


def test_the_whole_tree_is_measured(trainer, tmp_path):
    samples = Collector.configured(SidecarConfig(run_dir=tmp_path)).collect(0.0)
    assert value_of(samples, "trainer_up") == 1
    assert value_of(samples, "trainer_processes") == 3
    assert value_of(samples, "trainer_threads") == 3
    assert value_of(samples, "trainer_open_fds") >= 9
    assert value_of(samples, "trainer_cpu_seconds_total") >= 0.2
    assert abs(value_of(samples, "trainer_start_timestamp_seconds") - time.time()) < 60
    assert 64 << 20 < memory(samples, "footprint") < memory(samples, "rss")


def test_processor_time_does_not_fall_when_a_child_ends(trainer, tmp_path):
    collector = Collector.configured(SidecarConfig(run_dir=tmp_path))
    before = value_of(collector.collect(0.0), "trainer_cpu_seconds_total")
    trainer.end_children()
    samples = collector.collect(5.0)
    assert value_of(samples, "trainer_processes") == 1
    assert value_of(samples, "trainer_cpu_seconds_total") >= before


def test_a_stopped_trainer_is_up_and_a_dead_one_is_not(trainer, tmp_path):
    collector = Collector.configured(SidecarConfig(run_dir=tmp_path))
    os.kill(trainer.process.pid, signal.SIGSTOP)
    assert value_of(collector.collect(0.0), "trainer_up") == 1
    os.kill(trainer.process.pid, signal.SIGCONT)
    trainer.end_children()
    trainer.say()
    while psutil.Process(trainer.process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert [(r.name, r.value) for r in collector.collect(1.0)] == [("trainer_up", 0.0)]  # a zombie trains no more


def test_a_restarted_trainer_is_found_by_its_new_record(trainer, tmp_path):
    collector = Collector.configured(SidecarConfig(run_dir=tmp_path))
    first = value_of(collector.collect(0.0), "trainer_start_timestamp_seconds")
    trainer.end()
    assert value_of(collector.collect(1.0), "trainer_up") == 0
    second = Trainer(tmp_path)
    samples = collector.collect(2.0)
    second.end()
    assert value_of(samples, "trainer_up") == 1
    assert value_of(samples, "trainer_start_timestamp_seconds") > first


@pytest.mark.parametrize(
    "record", [None, "", "{", '{"pid": 4194309, "create_time": 1.0}', '{"pid": 1, "create_time": 5}']
)
def test_without_a_record_of_a_live_process_the_trainer_is_down(tmp_path, record):
    if record is not None:
        (tmp_path / "process.json").write_text(record)
    assert [(r.name, r.value) for r in Collector.configured(SidecarConfig(run_dir=tmp_path)).collect(0.0)] == [
        ("trainer_up", 0.0)
    ]


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0,
    reason="needs root on Linux, to read a process as somebody who may not",
)
def test_the_resident_size_stands_in_for_a_footprint_that_may_not_be_read(trainer, tmp_path):
    # It becomes a stranger only once all is imported: a stranger may not be able to read this Python.
    code = """
import logging, os, pathlib, sys
from exporter.collectors import CollectError
from exporter.collectors.process import Collector
from exporter.config import SidecarConfig
logging.basicConfig()
collector = Collector.configured(SidecarConfig(run_dir=pathlib.Path(sys.argv[1])))
os.setgroups([]), os.setgid(65534), os.setuid(65534)
for now in (0.0, 1.0):
    samples = collector.collect(now)
print(*[(r.name, *r.labels.values(), r.value) for r in samples], sep="\\n")
"""
    # pytest closes its folders to others; how many lie above this one depends on how it runs.
    for folder in itertools.takewhile(lambda path: not path.stat().st_mode & 0o001, (tmp_path, *tmp_path.parents)):
        folder.chmod(0o755)
    ran = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=360)
    found = {tuple(line[:-1]): line[-1] for line in map(ast.literal_eval, ran.stdout.splitlines())}
    assert found["trainer_memory_estimated_processes",] == 3, ran.stderr
    assert found["trainer_memory_bytes", "footprint"] == found["trainer_memory_bytes", "rss"] > 64 << 20
    assert ("trainer_open_fds",) not in found
    assert ran.stderr.count("cannot be read, so its resident size counts") == 1


def test_one_unreadable_process_is_estimated_and_the_rest_measured(trainer, tmp_path, monkeypatch):
    (daemon,) = psutil.Process(trainer.process.pid).children()[0].children()
    monkeypatch.setattr(
        "exporter.system.footprint.read_footprint",
        lambda pid, **_: None if pid == daemon.pid else read_footprint(pid),
    )
    samples = Collector.configured(SidecarConfig(run_dir=tmp_path)).collect(0.0)
    assert value_of(samples, "trainer_memory_estimated_processes") == 1
    assert 64 << 20 < memory(samples, "footprint") <= memory(samples, "rss")


def test_memory_that_cannot_be_read_at_all_fails_the_collector_and_keeps_the_rest(trainer, tmp_path, monkeypatch):
    collector = Collector.configured(SidecarConfig(run_dir=tmp_path))
    monkeypatch.setattr(psutil.Process, "memory_info", _deny)
    with pytest.raises(CollectError, match="cannot be read; run the sidecar as the trainer's user") as failed:
        collector.collect(0.0)
    assert value_of(failed.value.samples, "trainer_up") == 1
    assert value_of(failed.value.samples, "trainer_threads") == 3
    assert memory(failed.value.samples, "footprint") is None


def test_a_hidden_process_is_neither_up_nor_down_but_one_that_was_seen_has_ended(tmp_path, monkeypatch):
    # As under hidepid, with a record that somebody else wrote.
    monkeypatch.setattr("exporter.collectors.process.is_hidden", lambda pid: True)
    (tmp_path / "process.json").write_text('{"pid": 4194309, "create_time": 1.0}')
    collector = Collector.configured(SidecarConfig(run_dir=tmp_path, memory_limit_bytes=5))
    with pytest.raises(CollectError, match="process 4194309 belongs to another user") as failed:
        collector.collect(0.0)
    assert [(one.name, one.value) for one in failed.value.samples] == [("trainer_memory_limit_bytes", 5.0)]
    started = Trainer(tmp_path)
    assert value_of(collector.collect(1.0), "trainer_up") == 1
    started.end()
    assert value_of(collector.collect(2.0), "trainer_up") == 0


@pytest.mark.parametrize(
    ("setting", "of_groups", "limit"), [(None, None, None), (9, None, 9), (9, 7, 7), (7, 9, 7), (None, 7, 7)]
)
def test_the_smaller_limit_of_setting_and_container_counts(trainer, tmp_path, monkeypatch, setting, of_groups, limit):
    asked = []

    def read_limit(pid):
        asked.append(pid)
        return Limit(of_groups, "limit of a container") if of_groups else None

    monkeypatch.setattr("exporter.collectors.process.read_limit", read_limit)
    collector = Collector.configured(SidecarConfig(run_dir=tmp_path, memory_limit_bytes=setting))
    assert value_of(collector.collect(0.0), "trainer_memory_limit_bytes") == limit
    assert asked == [trainer.process.pid]


def _deny(process):
    raise psutil.AccessDenied(process.pid)


def test_processor_time_does_not_jump_when_the_boot_time_moves(trainer, tmp_path, monkeypatch):
    collector = Collector.configured(SidecarConfig(run_dir=tmp_path))
    before = value_of(collector.collect(0.0), "trainer_cpu_seconds_total")
    real = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: real(process) + 3)
    assert value_of(collector.collect(1.0), "trainer_cpu_seconds_total") == pytest.approx(before, abs=0.15)


def test_processor_time_counts_each_process_once():
    clock = TreeCounter()
    assert clock.add({(1, 0.0): 5.0}) == 5.0
    assert clock.add({(1, 0.0): 6.0, (2, 0.0): 3.0}) == 9.0
    assert clock.add({(1, 0.0): 7.0}) == 10.0
    assert clock.add({(1, 0.0): 7.0, (2, 9.0): 0.5}) == 10.5


@pytest.mark.parametrize(("footprint", "held", "total"), [(8.0, None, 8.0), (8.0, 6.0, 8.0), (2.0, 6.0, 8.0)])
def test_accelerator_memory_is_added_where_the_footprint_cannot_hold_it(footprint, held, total):
    assert add_accelerator(footprint, held) == total
