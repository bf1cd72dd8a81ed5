"""Peers that may take more memory than there is, and peers without a limit, are named."""

import pytest

from exporter.system.machine import Limit, Memory
from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages

GIB = 2**30


def test_limits_beyond_the_machine_are_a_failure(examine: Examine) -> None:
    found = messages(examine("memory", "peers: 2\nmemory_limit: 4000GiB\n"), Level.FAILURE)
    assert "the peers may take 8000.0 GiB; this machine has" in found


def test_the_limit_of_a_container_counts_and_is_named(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(2 * GIB, GIB, 4 * GIB, 3 * GIB, Limit(2 * GIB, "limit of control group /a"))
    monkeypatch.setattr("fleet.doctor.checks.memory.read_memory", lambda: memory)
    monkeypatch.setattr("fleet.configuration.checks.read_memory", lambda: memory)
    found = examine("memory", "peers: 2\nmemory_limit: 6GiB\n")
    has = "the peers may take 12.0 GiB; this machine has 2.0 GiB (limit of control group /a); run fewer peers"
    assert has in messages(found, Level.FAILURE)
    assert "1.0 GiB of 2.0 GiB is free (limit of control group /a)" in messages(found, Level.OK)
    assert "is swapped out" not in messages(found, Level.WARNING)


def test_a_tight_machine_that_swaps_is_a_warning(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.doctor.checks.memory.read_memory", lambda: Memory(8 * GIB, GIB, 4 * GIB, 3 * GIB))
    found = messages(examine("memory", "memory_limit: 1MiB\n"), Level.WARNING)
    assert "3.0 GiB is swapped out, which slows every step" in found


def test_a_peer_without_a_limit_is_a_warning(examine: Examine) -> None:
    found = messages(examine("memory", "peers: [{name: x}, {name: y, memory_limit: 1GiB}]\n"), Level.WARNING)
    assert "no memory limit for x:" in found


def test_peers_that_fit_are_ok(examine: Examine) -> None:
    assert messages(examine("memory", "memory_limit: 1MiB\n"), Level.FAILURE) == ""
