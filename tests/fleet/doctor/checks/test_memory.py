"""Peers that may take more memory than there is, and peers without a limit, are named."""

from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages


def test_limits_beyond_the_machine_are_a_failure(examine: Examine) -> None:
    found = messages(examine("memory", "peers: 2\nmemory_limit: 4000GiB\n"), Level.FAILURE)
    assert "the peers may take 8000.0 GiB; this machine has" in found


def test_a_peer_without_a_limit_is_a_warning(examine: Examine) -> None:
    found = messages(examine("memory", "peers: [{name: x}, {name: y, memory_limit: 1GiB}]\n"), Level.WARNING)
    assert "no memory limit for x:" in found


def test_peers_that_fit_are_ok(examine: Examine) -> None:
    assert messages(examine("memory", "memory_limit: 1MiB\n"), Level.FAILURE) == ""
