"""Real DHT nodes on loopback, each in a process of its own, and what anybody could write into their swarm."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lazy import lazily
from trainer.config import SwarmConfig
from trainer.protocol import RoundAndStage
from trainer.rounds import Position, RoundProgress, StageSum
from trainer.swarm.identity import ensure_identity

if TYPE_CHECKING:
    from trainer.swarm.dht import Swarm
    from trainer.swarm.publisher import Publisher

dht, routing, utils = lazily("trainer.swarm.dht"), lazily("hivemind.dht.routing"), lazily("hivemind.utils")

ALPHABET = "abcdefghijkmnopqrstuvwxyzABCDEFG"
MakeSwarm = Callable[..., Any]


@pytest.fixture(scope="module")
def make_swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeSwarm]:
    """`make_swarm(**settings)`: a node with an identity of its own, closed at the module's end."""
    swarms: list[Any] = []

    def make(folder: Path | None = None, **settings: Any) -> Any:
        folder = folder or tmp_path_factory.mktemp("peer")
        identity = folder / "identity.pem"
        ensure_identity(identity)
        swarms.append(dht.Swarm(SwarmConfig(**{"port": 0, **settings}), folder, identity))
        return swarms[-1]

    yield make
    for swarm in swarms:
        swarm.close()


def earn(publisher: "Publisher", at: RoundAndStage, reward: float) -> None:
    """A peer's sum of a stage, and of none before."""
    publisher.put_sums(RoundProgress(Position(*at, 1, reward), sums={at: StageSum(1, reward)}))


async def _plant(_dht: Any, node: Any, *, key: str, entries: list[tuple[str | None, bytes]], lives: float) -> None:
    for subkey, raw in entries:
        node.protocol.storage.store(routing.DHTID.generate(key), raw, time.time() + lives, subkey=subkey)


def plant(swarm: "Swarm", key: str, values: dict[str | None, Any], *, lives: float = 4 * 3600.0) -> None:
    """Puts values by subkey into what a node holds, past everything that it checks; bytes stay as they are."""
    packed = [
        (subkey, value if isinstance(value, bytes) else utils.MSGPackSerializer.dumps(value))
        for subkey, value in values.items()
    ]
    for at in range(0, len(packed), 20):
        swarm._call("planting", _plant, key=key, entries=packed[at : at + 20], lives=lives)


async def _flood(_dht: Any, node: Any, *, key: str, count: int, lives: float) -> None:
    hashed, raw, expires = routing.DHTID.generate(key), utils.MSGPackSerializer.dumps(1e6), time.time() + lives
    for number in range(count):
        digits = "".join(ALPHABET[number // 32**place % 32] for place in range(4))
        node.protocol.storage.store(hashed, raw, expires, subkey=f"Qm{digits}{'z' * 40}")


def flood(swarm: "Swarm", key: str, count: int, *, lives: float) -> None:
    """Puts that many made-up peers' rewards into what a node holds."""
    swarm._call("flooding", _flood, seconds=120.0, key=key, count=count, lives=lives)
