"""What the fleet's tests share: configurations as text, on ports that are free."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.configuration.checks import Machine, check
from fleet.configuration.load import Loaded, load_text
from tests.fakes import LOOPBACK, reserve_ports

MACHINE = Machine(memory_bytes=16 * 2**30, cores=8)


def ports_text(peers: int = 2) -> str:
    """The `ports` section with ports that nothing uses now; the peers' follow each other."""
    while True:
        leaderboard, alerts, trainer, sidecar = reserve_ports(4)
        ours = [leaderboard, alerts, *range(trainer, trainer + peers), *range(sidecar, sidecar + peers)]
        if len(set(ours)) == len(ours) and all(map(_is_free, ours)):
            return f"ports: {{leaderboard: {leaderboard}, alerts: {alerts}, trainer: {trainer}, sidecar: {sidecar}}}\n"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
    return True


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Loaded]:
    def load(text: str) -> Loaded:
        return load_text(text, "peerwatch.yaml", tmp_path, tmp_path / "state")

    return load


@pytest.fixture
def lines_of(load: Callable[[str], Loaded]) -> Callable[[str], list[str]]:
    """What `peerwatch check` says of a text on a machine of 16 GiB; of ports in use only where the text names ports."""

    def lines_of(text: str) -> list[str]:
        loaded = load(text)
        check(loaded, MACHINE, is_running="ports:" not in text)
        return loaded.lines()

    return lines_of
