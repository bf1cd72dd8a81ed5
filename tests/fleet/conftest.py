"""What the fleet's tests share: configurations as text, on ports that are free."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.configuration.checks import Machine, check
from fleet.configuration.load import Loaded, load_text
from tests.fakes import reserve_ports

MACHINE = Machine(memory_bytes=16 * 2**30, cores=8)


def ports_text(peers: int = 2) -> str:
    """The `ports` section with ports that nothing uses now; the peers' follow each other."""
    while True:
        leaderboard, alerts, *of_peers = reserve_ports(2 + 2 * peers)
        trainer, sidecar = of_peers[0], of_peers[peers]
        if of_peers == [*range(trainer, trainer + 2 * peers)]:
            return f"ports: {{leaderboard: {leaderboard}, alerts: {alerts}, trainer: {trainer}, sidecar: {sidecar}}}\n"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Loaded]:
    def load(text: str) -> Loaded:
        return load_text(text, "peerwatch.yaml", tmp_path, tmp_path / "state")

    return load


def give_free_ports(path: Path, peers: int) -> None:
    """Puts free ports into a file that `init` has written: the default ones may be another test's."""
    text = re.sub(r"^ports:.*?(?=^\w|\Z)", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    path.write_text(f"{text}\n{ports_text(peers)}")


@pytest.fixture
def lines_of(load: Callable[[str], Loaded]) -> Callable[[str], list[str]]:
    """What `peerwatch check` says of a text on a machine of 16 GiB; of ports in use only where it has `ports_text`."""

    def lines_of(text: str) -> list[str]:
        loaded = load(text)
        check(loaded, MACHINE, is_running="ports: " not in text)
        return loaded.lines()

    return lines_of
