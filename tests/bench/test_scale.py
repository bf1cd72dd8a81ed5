"""What a reward costs to store, and a stage to read, in swarms of up to 100 000 simulated peers; see docs/scale.md.

Four nodes on loopback hold what that many peers have written; one of them stores and reads as a peer does.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.lazy import lazily
from trainer.config import SwarmConfig
from trainer.protocol import RoundAndStage, rewards_key_of
from trainer.swarm.error import SwarmError
from trainer.swarm.identity import ensure_identity
from trainer.swarm.stage_rewards import find_rewards

dht, routing, utils = lazily("trainer.swarm.dht"), lazily("hivemind.dht.routing"), lazily("hivemind.utils")

NODES = 4
STORES = 15
SIZES = ((100, 1), (1_000, 1), (10_000, 1), (10_000, 64), (100_000, 64), (100_000, 1024))
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def name_peer(number: int) -> str:
    digest = hashlib.sha256(str(number).encode()).digest() + hashlib.sha256(str(-number).encode()).digest()
    return "Qm" + "".join(BASE58[byte % 58] for byte in digest[:44])


async def _fill(_dht: Any, node: Any, *, round_number: int, peers: int, shards: int) -> None:
    expires, raw = time.time() + 3600.0, utils.MSGPackSerializer.dumps(12.5)
    for number in range(peers):
        peer_id = name_peer(number)
        key = routing.DHTID.generate(rewards_key_of(peer_id, round_number, 0, shards))
        node.protocol.storage.store(key, raw, expires, subkey=peer_id)


async def _empty(_dht: Any, node: Any) -> None:
    node.protocol.storage.clear()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Any]]:
    swarms: list[Any] = []
    for number in range(NODES):
        folder = tmp_path / str(number)
        ensure_identity(folder / "identity.pem")
        known = [one.addresses[0] for one in swarms]
        swarms.append(dht.Swarm(SwarmConfig(port=0, leader=True, initial_peers=known), folder, folder / "identity.pem"))
    yield swarms
    for swarm in swarms:
        swarm.close()


@pytest.mark.bench
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore")
def test_what_a_store_costs_by_peers_and_shards(nodes: list[Any], record: Callable[..., None]) -> None:
    peer = nodes[-1]
    costs: dict[tuple[int, int], float] = {}
    for number, (peers, shards) in enumerate(SIZES):
        for node in nodes:
            node._call("filling", _fill, seconds=300.0, round_number=number, peers=peers, shards=shards)
        peer.shards = shards
        at, seconds = RoundAndStage(number, 0), []
        for index in range(STORES):
            own = name_peer(index)
            began = time.monotonic()
            assert peer.store(rewards_key_of(own, *at, shards), float(index), own)
            seconds.append(time.monotonic() - began)
        costs[peers, shards] = median(seconds)
        began = time.monotonic()
        try:
            read = f"{len(find_rewards(peer, at))} rewards in {time.monotonic() - began:.1f} s"
        except SwarmError as error:
            read = f"failed: {error}"
        title = f"{peers} peers, {shards} key{'s' * (shards > 1)}"
        record("Scale of the rewards", f"{title}: a store", f"{1000 * costs[peers, shards]:.0f} ms")
        record("Scale of the rewards", f"{title}: reading the stage", read)
        for node in nodes:
            node._call("emptying", _empty)
    assert costs[10_000, 64] < costs[10_000, 1]
    assert costs[100_000, 1024] < costs[10_000, 1]
