"""What the DHT's process does for the trainer: coroutines that hivemind awaits there, with the node as argument.

hivemind hands its process messages through a pipe that it reads without waiting, so that a message of more than some
kilobytes can arrive in part, which ends the process. Nothing larger than a piece travels on it; the way back is safe.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import msgpack
from hivemind.dht.node import DHTNode
from hivemind.dht.routing import DHTID
from hivemind.dht.validation import DHTRecord, RecordValidatorBase
from hivemind.p2p import PeerID
from hivemind.p2p.p2p_daemon import Multiaddr
from hivemind.utils import MSGPackSerializer
from hivemind.utils.timed_storage import ValueWithExpiration, get_dht_time

from trainer.readable import is_readable
from trainer.sealing import Members, Opener

# A pipe takes as much in one go, on Linux and macOS, as long as nothing else is in it.
PIECE_BYTES = 2048
SHUTDOWN_SECONDS = 3.0
DIAL_SECONDS = 3.0

NIL = msgpack.packb(None)


class SealedOnly(RecordValidatorBase):
    """Lets only sealed records in that their owner wrote, from whoever brings them; a node takes and shows no other."""

    def __init__(self, members: Members) -> None:
        self._opener = Opener(members, lambda key: bytes(DHTID.generate(key).to_bytes()))

    def validate(self, record: DHTRecord) -> bool:
        try:
            self._open(record)
        except ValueError:
            return False
        return True

    def strip_value(self, record: DHTRecord) -> bytes:
        """What is in a record; nil where nothing counts: hivemind's search would wait for ever for one that raises."""
        try:
            return self._open(record)
        except ValueError:
            return bytes(NIL)

    def _open(self, record: DHTRecord) -> bytes:
        now = get_dht_time()
        return self._opener.open_record(record.value, record.key, record.subkey, record.expiration_time, now)


class ReadableOnly(RecordValidatorBase):
    """Puts nil in the place of each value that would not decode; refuses none, as that would refuse the whole key."""

    def validate(self, record: DHTRecord) -> bool:
        return True

    def strip_value(self, record: DHTRecord) -> bytes:
        return record.value if is_readable(record.value) else NIL


def place_in_swarm(peer_id: str) -> DHTID:
    """A node's id in the DHT: of the peer, not of chance, or others would keep one more at each of its restarts.

    They store each record at a few ids, and so at fewer peers than they mean to.
    """
    return DHTID.generate(peer_id.encode())


def pack(value: Any) -> bytes:
    """The value as hivemind stores it. Raises TypeError, ValueError or OverflowError where it cannot."""
    return bytes(MSGPackSerializer.dumps(value))


async def take_piece(dht: Any, _node: Any, *, index: int, piece: bytes) -> None:
    """Adds one piece of the value that is stored next; the first one begins it."""
    if index == 0:
        dht.pieces = []
    if index == len(dht.pieces):
        dht.pieces.append(piece)


async def store(
    dht: Any, node: Any, *, key: str, subkey: str | None, packed: bytes, pieces: int, expiration: float
) -> bool:
    """Stores a packed value, or the one of which `pieces` came before; whether the swarm holds it."""
    if pieces:
        taken, dht.pieces = dht.pieces, []
        if len(taken) != pieces:
            raise ValueError("a piece of the value was lost")
        packed = b"".join(taken)
    value = MSGPackSerializer.loads(packed) if dht.seal is None else dht.seal.close(key, subkey, packed, expiration)
    if await node.store(key, value, expiration, subkey=subkey):
        return True
    # This was the answer of one node alone, the last one. A peer that restarted is known under several ids, so that it
    # gets the record twice and refuses it the second time: what counts is what is found then.
    found = await node.get(key, latest=True)
    if found is not None and subkey is not None:
        found = found.value.get(subkey) if isinstance(found.value, Mapping) else None
    return found is not None and bool(found.expiration_time == expiration)


async def find(_dht: Any, node: Any, *, key: str) -> Any:
    """The newest (value, expiry) under a key, or {subkey: (value, expiry)} where it has subkeys; None on a miss."""
    found = await node.get(key, latest=True)
    if found is None:
        return None
    if isinstance(found.value, Mapping):
        return {
            subkey: (entry.value, entry.expiration_time)
            for subkey, entry in found.value.items()
            if isinstance(entry, ValueWithExpiration)
        }
    return found.value, found.expiration_time


async def addresses(dht: Any, node: Any) -> list[str]:
    """Where others reach this node. One that is built again listens there too, though any port was free to choose."""
    listening = [str(address) for address in await node.p2p.get_visible_maddrs()]
    dht.listens_on = [
        address.replace("/tcp/0", f"/tcp/{Multiaddr(listening[0])['tcp']}") for address in dht.kwargs["host_maddrs"]
    ]
    return [str(address) for address in await node.get_visible_maddrs()]


async def connected(_dht: Any, node: Any) -> list[str]:
    """The ids of the peers that p2pd is connected to."""
    return [str(peer.peer_id) for peer in await node.p2p.list_peers()]


async def has_daemon(_dht: Any, node: Any) -> bool:
    """Whether the node's p2pd runs."""
    child = node.p2p._child
    return child is not None and child.returncode is None


async def rebuild(dht: Any, old: Any, *, initial_peers: list[str]) -> None:
    """Puts a new node with a new p2pd in the place of the old one, with what that one held for the swarm."""
    child = old.p2p._child
    with contextlib.suppress(Exception):
        await asyncio.wait_for(old.shutdown(), SHUTDOWN_SECONDS)
    if child is not None and child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    options = {**dht.kwargs, "host_maddrs": dht.listens_on, "ensure_bootstrap_success": False}
    node = await DHTNode.create(
        initial_peers=initial_peers or None,
        num_workers=dht.num_workers,
        record_validator=dht._record_validator,
        **options,
    )
    node.protocol.storage = old.protocol.storage
    dht._node = node


async def dial(_dht: Any, node: Any, *, addresses: list[str]) -> int:
    """Connects to the peers at these addresses that p2pd is not connected to; how many answered."""
    present = {str(peer.peer_id) for peer in await node.p2p.list_peers()}
    answered = 0
    for address in addresses:
        where, _, peer_id = address.rpartition("/p2p/")
        if peer_id in present:
            continue
        # What p2pd says of a peer that is down is of many kinds, and means all the same.
        with contextlib.suppress(Exception):
            peer = PeerID.from_base58(peer_id)
            await asyncio.wait_for(node.p2p._client.connect(peer, [Multiaddr(where)]), DIAL_SECONDS)
            answered += await node.protocol.call_ping(peer) is not None
    return answered
