"""Trainers that together have more threads than there are cores are named."""

import re
from collections.abc import Callable

import pytest

from exporter.system.machine import Cores, read_cores
from fleet.doctor.findings import Level
from fleet.doctor.trainers import find_trainers
from tests.fleet.doctor.conftest import Examine, messages


def test_two_trainers_that_each_take_every_core_are_a_warning(
    examine: Examine, start_trainer: Callable[..., int]
) -> None:
    start_trainer(OMP_NUM_THREADS=str(read_cores().count))
    start_trainer()
    assert "and slow each other down" in messages(examine("threads"), Level.WARNING)


def test_the_cores_are_those_that_a_quota_leaves(
    examine: Examine, start_trainer: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.doctor.checks.threads.read_cores", lambda: Cores(1, "CPU quota of 1"))
    start_trainer(OMP_NUM_THREADS="4")
    # Others may train on this machine while the tests run.
    (found,) = re.findall(r"have (\d+) threads on 1 cores and slow", messages(examine("threads"), Level.WARNING))
    assert int(found) >= 4


def test_the_planned_threads_are_reported_while_nothing_runs(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    # Others may train on this machine while the tests run.
    monkeypatch.setattr("fleet.doctor.site.find_trainers", list)
    (found,) = examine("threads", "peers: 2\n")
    assert found.message.startswith("2 peers will have ")


def test_for_trainers_of_others_no_measurement_is_advised(
    examine: Examine, start_trainer: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.doctor.checks.threads.read_cores", lambda: Cores(1, "CPU quota of 1"))
    pids = {start_trainer(OMP_NUM_THREADS="1") for _ in range(2)}
    # Others may train on this machine while the tests run.
    monkeypatch.setattr("fleet.doctor.site.find_trainers", lambda: [one for one in find_trainers() if one.pid in pids])
    (ours,) = examine("threads", "peers: 2\n")
    (theirs,) = examine("threads", "peers: [{name: x, kind: attached, find: {folder: .}}]\n")
    assert "--measure" in ours.remedy
    assert "fewer" in theirs.remedy
