"""A signed swarm on a real DHT: what others than its members write is neither taken nor shown."""

import time
from typing import Any, NamedTuple

import pytest

from tests.fakes import wait_for
from tests.lazy import lazily
from tests.trainer.swarm.conftest import MakeSwarm, plant
from trainer.protocol import ROUND_AND_STAGE_KEY, leaderboard_key, outputs_key, rewards_key
from trainer.swarm.identity import ensure_identity

routing, utils = lazily("hivemind.dht.routing"), lazily("hivemind.utils")

pytestmark = pytest.mark.filterwarnings("ignore")

HOSTILE = {
    "a number": 1e6,
    "nan": float("nan"),
    "a long text": "x" * 2_000_000,
    "a pickle": b"\x80\x04\x95cos\nsystem\n",
    "deep": b"\x91" * 100_000 + b"\x01",
    "nothing": b"",
}


class Peers(NamedTuple):
    """A leader and a follower who sign, and a stranger who has joined their DHT and does not."""

    leader: Any
    follower: Any
    stranger: Any
    ids: dict[str, str]


@pytest.fixture(scope="module")
def peers(make_swarm: MakeSwarm, tmp_path_factory: pytest.TempPathFactory) -> Peers:
    folders = {name: tmp_path_factory.mktemp(name) for name in ("leader", "follower", "stranger")}
    ids = {name: ensure_identity(folder / "identity.pem") for name, folder in folders.items()}
    signed = {"signed": True, "leaders": [ids["leader"]], "members": [ids["leader"], ids["follower"]]}
    leader = make_swarm(folders["leader"], leader=True, **signed)
    follower = make_swarm(folders["follower"], initial_peers=leader.addresses, **signed)
    stranger = make_swarm(folders["stranger"], initial_peers=leader.addresses)
    assert leader.store(ROUND_AND_STAGE_KEY, (1, 0))
    return Peers(leader, follower, stranger, ids)


async def _send(_dht: Any, node: Any, *, key: str, subkey: str | None, value: Any, expires: float) -> int:
    """How many of the nodes that this one knows take the record; a value by its name does not cross hivemind's pipe."""
    value = HOSTILE.get(value, value) if isinstance(value, str) else value
    raw = value if isinstance(value, bytes) else utils.MSGPackSerializer.dumps(value)
    taken = 0
    for peer in node.protocol.routing_table.uid_to_peer_id.values():
        taken += sum(
            await node.protocol.call_store(peer, [routing.DHTID.generate(key)], [raw], expires, [subkey]) or ()
        )
    return taken


async def _held(_dht: Any, node: Any, *, key: str, subkey: str) -> bytes:
    return bytes(node.protocol.storage.get(routing.DHTID.generate(key)).value.get(subkey).value)


def send(swarm: Any, key: str, value: Any, subkey: str | None = None, expires: float | None = None) -> int:
    arguments = {"key": key, "subkey": subkey, "value": value, "expires": expires or time.time() + 4 * 3600.0}
    return int(swarm._call("sending", _send, seconds=30.0, **arguments))


def test_members_read_what_members_wrote(peers: Peers) -> None:
    key, own = rewards_key(1, 0), peers.ids["follower"]
    text = ("é" * 16_000)[:15_000]
    assert peers.leader.store(ROUND_AND_STAGE_KEY, (1, 0))
    assert peers.follower.store(key, 2.5, own)
    assert peers.follower.store(outputs_key(own, 1, 0), (1.0, {"question": text}), "a" * 32)

    assert peers.follower.get(ROUND_AND_STAGE_KEY) == (1, 0)
    assert peers.leader.get(key) == {own: 2.5}
    assert peers.leader.get(outputs_key(own, 1, 0)) == {"a" * 32: (1.0, {"question": text})}


def test_a_member_cannot_write_for_another_or_lead(peers: Peers) -> None:
    # The stranger's node, which asks for no signature, may take it.
    peers.follower.store(rewards_key(2, 0), 2.5, peers.ids["leader"])
    peers.follower.store(leaderboard_key(2, 0), [["x", 1e9]])
    for key in (rewards_key(2, 0), leaderboard_key(2, 0)):
        assert not peers.leader.get(key)
    # In its own cache it has what it would not take from others, and shows nothing of it.
    assert peers.follower.get(leaderboard_key(2, 0)) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_stranger_sends_is_not_taken(peers: Peers, name: str) -> None:
    assert send(peers.stranger, rewards_key(3, 0), name, peers.ids["follower"]) == 0
    assert send(peers.stranger, ROUND_AND_STAGE_KEY, name) == 0
    assert peers.leader.get(rewards_key(3, 0)) is None
    assert peers.follower.get(ROUND_AND_STAGE_KEY) == (1, 0)


def test_what_a_strangers_own_node_holds_is_not_shown(peers: Peers) -> None:
    key, own, later = rewards_key(4, 0), peers.ids["follower"], 24 * 3600.0
    assert peers.follower.store(key, 1.5, own)
    strangers = {f"Qm{letter * 44}": 1e6 for letter in "abcdefg"}
    plant(peers.stranger, key, {own: -5.0, **strangers}, lives=later)
    plant(peers.stranger, ROUND_AND_STAGE_KEY, {None: (1003, 0)}, lives=later)

    assert peers.leader.get(key) == {own: 1.5}
    assert peers.follower.get(ROUND_AND_STAGE_KEY) == (1, 0)
    wait_for(lambda: peers.leader.store(ROUND_AND_STAGE_KEY, (1, 1)), 10, "the members take the announcement")
    assert peers.follower.get(ROUND_AND_STAGE_KEY) == (1, 1)


def test_a_record_of_a_members_is_not_taken_with_a_later_expiry(peers: Peers) -> None:
    key, own = rewards_key(5, 0), peers.ids["follower"]
    assert peers.follower.store(key, 1.5, own)

    sealed = peers.follower._call("reading", _held, key=key, subkey=own)
    assert isinstance(sealed, bytes)
    assert send(peers.stranger, key, sealed, own, time.time() + 5 * 3600.0) == 0
    assert peers.leader.get(key) == {own: 1.5}
