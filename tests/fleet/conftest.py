"""What the fleet's tests share: configurations as text, on ports that are free."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.checks import Machine, check
from fleet.loading import Loaded, load_text
from tests.fakes import reserve_ports

MACHINE = Machine(memory_bytes=16 * 2**30, cores=8)


def ports_text(peers: int = 2) -> str:
    """The `ports` section with ports that nothing uses; the peers' follow each other."""
    while True:
        leaderboard, alerts, trainer, sidecar = reserve_ports(4)
        ours = [leaderboard, alerts, *range(trainer, trainer + peers), *range(sidecar, sidecar + peers)]
        if len(set(ours)) == len(ours) and max(ours) < 65000:
            return f"ports: {{leaderboard: {leaderboard}, alerts: {alerts}, trainer: {trainer}, sidecar: {sidecar}}}\n"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Loaded]:
    def load(text: str) -> Loaded:
        return load_text(text, "peerwatch.yaml", tmp_path, tmp_path / "state")

    return load


@pytest.fixture
def lines_of(load: Callable[[str], Loaded]) -> Callable[[str], list[str]]:
    """What `peerwatch check` says of a text, on a machine of 16 GiB; free ports stand in where it names none."""

    def lines_of(text: str) -> list[str]:
        loaded = load(text if "ports:" in text else text + ports_text())
        check(loaded, MACHINE, is_running=False)
        return loaded.lines()

    return lines_of
