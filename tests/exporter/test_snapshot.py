"""A collector that fails or hangs costs only its own samples."""

import gzip
import logging
import math
import os
import threading
import time

import pytest

from exporter.collectors import CollectError, discover
from exporter.config import SidecarConfig
from exporter.metrics import Sample
from exporter.snapshot import Snapshot, refresh_until


class Fake:
    """Returns or raises what a test sets; waits while `gate` is closed."""

    def __init__(self, result):
        self.result, self.gate, self.calls = result, threading.Event(), 0
        self.thread = None
        self.gate.set()

    def collect(self, now):
        self.calls += 1
        self.thread = threading.current_thread()
        self.gate.wait()
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class Stepping(Fake):
    """A step just before each collection, and a stall a little before the next one."""

    def __init__(self):
        super().__init__([])

    def collect(self, now):
        numbers = {"last_step_timestamp": now, "phase_start_timestamp": now, "stall_after": 0.17}
        self.result = [Sample(f"trainer_{name}_seconds", {}, value) for name, value in numbers.items()]
        return super().collect(now)


def up(value=1.0):
    return [Sample("trainer_up", {}, value)]


def rank():
    return [Sample("swarm_rank", {}, 3.0)]


def make(timeout_seconds=5.0, constant=(), **collectors):
    return Snapshot(collectors, constant=constant, timeout_seconds=timeout_seconds)


def refreshed(snapshot, now=0.0):
    snapshot.refresh(now)
    return [line for line in snapshot.page.plain.decode().splitlines() if "duration" not in line and line[0] != "#"]


def test_the_page_holds_the_samples_and_each_collectors_success():
    assert refreshed(make(process=Fake(up()), constant=[Sample("sidecar_build_info", {"version": "1"}, 1.0)])) == [
        "trainer_up 1.0",
        'sidecar_collector_success{collector="process"} 1.0',
        'sidecar_build_info{version="1"} 1.0',
    ]


def test_the_compressed_page_is_the_page():
    snapshot = make(process=Fake(up()))
    snapshot.refresh(0.0)
    assert gzip.decompress(snapshot.page.compressed) == snapshot.page.plain


@pytest.mark.parametrize(
    "result", [RuntimeError("broken"), [Sample("unknown_name", {}, 1.0)], None, [("trainer_up", "x")]]
)
def test_a_broken_collector_costs_only_its_own_metrics(result):
    assert refreshed(make(broken=Fake(result), process=Fake(up()))) == [
        "trainer_up 1.0",
        'sidecar_collector_success{collector="broken"} 0.0',
        'sidecar_collector_success{collector="process"} 1.0',
    ]


def test_a_failed_read_keeps_what_is_still_valid():
    assert refreshed(make(standing=Fake(CollectError("no answer", rank())))) == [
        "swarm_rank 3.0",
        'sidecar_collector_success{collector="standing"} 0.0',
    ]


def test_a_hanging_collector_costs_one_thread_and_one_wait():
    hanging, process = Fake(rank()), Fake(up())
    snapshot = make(1.0, hanging=hanging, process=process)
    before = set(threading.enumerate())
    hanging.gate.clear()
    for _ in range(5):
        assert refreshed(snapshot) == [
            "trainer_up 1.0",
            'sidecar_collector_success{collector="hanging"} 0.0',
            'sidecar_collector_success{collector="process"} 1.0',
        ]
    assert (hanging.calls, process.calls) == (1, 5)
    assert len(set(threading.enumerate()) - before) == 1
    stuck = hanging.thread
    assert stuck.is_alive()

    hanging.gate.set()
    stuck.join(60)
    assert not stuck.is_alive()
    assert "swarm_rank 3.0" in refreshed(snapshot)


def test_a_failure_is_one_line_in_the_log_however_long_it_lasts(caplog):
    broken = Fake(RuntimeError("no such thing"))
    snapshot = make(broken=broken)
    with caplog.at_level(logging.INFO):
        for _ in range(50):
            snapshot.refresh(0.0)
    assert [record.message for record in caplog.records] == ["collector broken failed: RuntimeError: no such thing"]


def test_a_collector_without_a_configured_source_is_left_out(tmp_path):
    assert "standing" in discover(SidecarConfig(run_dir=tmp_path, leaderboard_url="http://127.0.0.1:1"))
    assert "standing" not in discover(SidecarConfig(run_dir=tmp_path))


@pytest.mark.parametrize("content", [None, "cut off", 'trainer_info{peer_id="Qm",nickname="",model="",device=""} 1\n'])
def test_the_trainers_file_is_opened_once_per_collection(tmp_path, monkeypatch, content):
    if content is not None:
        (tmp_path / "trainer.prom").write_text(content)
    opened = []
    really_open = os.open

    def count(path, *arguments, **options):
        opened.append(str(path))
        return really_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", count)
    snapshot = make(**discover(SidecarConfig(run_dir=tmp_path, leaderboard_url="http://127.0.0.1:1")))
    for collections in (1, 2):
        page = refreshed(snapshot, now=float(collections))
        assert opened.count(str(tmp_path / "trainer.prom")) == collections
    is_good = float(content is not None and content.endswith("\n"))
    assert f'sidecar_collector_success{{collector="textfile"}} {is_good}' in page
    assert f'sidecar_collector_success{{collector="step_rate"}} {is_good}' in page
    assert 'sidecar_collector_success{collector="process"} 1.0' in page


def silence(last_step=100.0):
    values = {
        "trainer_last_step_timestamp_seconds": last_step,
        "trainer_phase_start_timestamp_seconds": 90.0,
        "trainer_stall_after_seconds": 30.0,
    }
    return [Sample(name, {}, value) for name, value in values.items()]


def test_the_time_to_a_stall_counts_from_the_later_of_last_step_and_phase_start():
    snapshot = make(textfile=Fake(silence()))
    assert snapshot.seconds_to_stall(110.0) == math.inf
    snapshot.refresh(110.0)
    assert snapshot.seconds_to_stall(110.0) == 20.0
    snapshot.refresh(130.0)
    assert snapshot.seconds_to_stall(130.0) == math.inf


def test_the_time_to_a_stall_is_that_of_the_activity_where_it_is_known():
    snapshot = make(process=Fake([Sample("trainer_activity_stall_after_seconds", {}, 20.0)]), textfile=Fake(silence()))
    snapshot.refresh(110.0)
    assert snapshot.seconds_to_stall(110.0) == 10.0


def test_processes_are_looked_at_when_a_rest_would_be_a_stall_but_not_at_once_after_they_were():
    known = [Sample("trainer_activity_cores", {}, 1.0)]
    at_rest = [Sample("trainer_stall_at_rest_after_seconds", {}, 12.0)]
    snapshot = make(process=Fake(known), textfile=Fake(silence() + at_rest))
    for now, seconds in ((105.0, 7.0), (111.5, 1.1), (112.5, 17.5)):
        snapshot.refresh(now)
        assert snapshot.seconds_to_stall(now) == pytest.approx(seconds)
    unknown = make(textfile=Fake(silence() + at_rest))
    unknown.refresh(105.0)
    assert unknown.seconds_to_stall(105.0) == 25.0


def test_a_collection_at_the_stall_deadline_is_the_intervals_one():
    stopping, textfile = threading.Event(), Stepping()
    snapshot = make(textfile=textfile)
    snapshot.refresh(time.time())
    threading.Timer(1.0, stopping.set).start()
    refresh_until(stopping, snapshot, 0.2)
    assert 2 <= textfile.calls <= 8


def test_a_scrape_after_the_stall_deadline_waits_for_the_next_collection():
    textfile = Fake(silence())
    snapshot = make(textfile=textfile)
    snapshot.refresh(110.0)
    before = snapshot.page
    assert snapshot.latest(129.0) is before
    textfile.result = silence(last_step=129.9)
    collection = threading.Timer(0.02, snapshot.refresh, (130.0,))
    collection.start()
    assert b"last_step_timestamp_seconds 129.9" in snapshot.latest(130.01).plain
    collection.join()


def test_a_collection_that_hangs_delays_such_a_scrape_only_briefly():
    snapshot = make(textfile=Fake(silence()))
    snapshot.refresh(110.0)
    assert snapshot.latest(131.0) is snapshot.page
