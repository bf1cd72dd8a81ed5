"""Machines as given, and this one as it is read."""

import sys
from pathlib import Path

import pytest

from exporter.system.machine import Cores, Limit, Memory, read_memory
from fleet.plan.host import GIB, elsewhere, headroom, here, metal_limit


def test_this_machine_is_read(tmp_path: Path) -> None:
    host = here("cpu", tmp_path / "not" / "there")

    assert host.is_here
    assert (host.system, host.memory_bytes) == (sys.platform, read_memory().total_bytes)
    assert 0 < host.used_bytes < host.memory_bytes
    assert host.disk_free_bytes
    assert host.accelerator_bytes is None


def test_a_container_is_planned_by_what_it_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(4 * GIB, 3 * GIB, 0, 0, Limit(4 * GIB, "limit of control group /a"))
    monkeypatch.setattr("fleet.plan.host.read_memory", lambda: memory)
    monkeypatch.setattr("fleet.plan.host.read_cores", lambda: Cores(2, "CPU quota of 2 in control group /a"))
    monkeypatch.setattr("fleet.plan.host.find_trainers", list)
    host = here("cpu", tmp_path)

    assert (host.memory_bytes, host.used_bytes, host.cores, host.has_swap) == (4 * GIB, GIB, 2, False)
    assert (host.memory_origin, host.cores_origin) == (
        "limit of control group /a",
        "CPU quota of 2 in control group /a",
    )


def test_the_performance_cores_of_a_mac_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.plan.host.read_cores", lambda: Cores(10, fast=4))
    assert here("cpu", tmp_path).cores_origin == "read; 4 of them are performance cores"


def test_a_machine_with_metal_is_a_mac() -> None:
    mac, server = elsewhere("mps", 16 * GIB, 10), elsewhere("cpu", 16 * GIB, 10)

    assert (mac.system, server.system) == ("darwin", "linux")
    assert mac.used_bytes > server.used_bytes
    assert server.accelerator_bytes is None


@pytest.mark.parametrize(
    ("gibibytes", "limit"),
    # recommendedMaxWorkingSetSize as machines of these sizes report it
    [(16, 10.67), (24, 16.0), (32, 21.33), (64, 48.0)],
)
def test_metal_takes_its_usual_share(gibibytes: int, limit: float) -> None:
    assert metal_limit(gibibytes * GIB) / GIB == pytest.approx(limit, abs=0.01)


def test_an_owner_s_own_limit_for_metal_counts() -> None:
    assert metal_limit(16 * GIB, 12 * 1024) == 12 * GIB


def test_a_machine_without_swap_needs_more_headroom() -> None:
    assert headroom(elsewhere("cpu", 64 * GIB, 8))[0] == pytest.approx(6.4 * GIB)
    assert headroom(elsewhere("cpu", 1 * GIB, 8))[0] == GIB / 2
