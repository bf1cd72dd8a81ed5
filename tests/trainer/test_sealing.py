"""A sealed record opens for what it was sealed for, and for nothing else."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.protocol import (
    EXPIRATION_SECONDS,
    MAX_CLOCK_DIFFERENCE_SECONDS,
    ROUND_AND_STAGE_KEY,
    leaderboard_key,
    outputs_key,
    rewards_key,
)
from trainer.sealing import Members, Opener, Seal
from trainer.swarm.identity import ensure_identity

NOW = 1_700_000_000.0
EXPIRES = NOW + EXPIRATION_SECONDS
PAYLOAD = msgpack.packb(2.5)
KEY = rewards_key(3, 1)


def hash_key(key: str) -> bytes:
    return hashlib.sha1(key.encode(), usedforsecurity=False).digest()


class Cast(NamedTuple):
    """A swarm of a leader and a peer, and somebody else who has a key too."""

    leader: Seal
    peer: Seal
    stranger: Seal

    def opener(self) -> Opener:
        return Opener(Members((self.leader.peer_id,), frozenset([self.peer.peer_id])), hash_key)


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    folder = tmp_path_factory.mktemp("identities")

    def make(name: str) -> Seal:
        path = folder / name
        assert ensure_identity(path) == Seal.read(path).peer_id
        return Seal.read(path)

    return Cast(make("leader"), make("peer"), make("stranger"))


def opens(cast: Cast, sealed: bytes, key: str = KEY, subkey: object = "", expires: float = EXPIRES) -> bool:
    try:
        payload = cast.opener().open(sealed, hash_key(key), subkey or cast.peer.peer_id, expires, NOW)
    except ValueError:
        return False
    assert payload == PAYLOAD
    return True


def test_a_peers_own_record_opens_and_opens_again(cast: Cast) -> None:
    peer = cast.peer.peer_id
    sealed, opener = cast.peer.close(KEY, peer, PAYLOAD, EXPIRES), cast.opener()
    for _ in range(2):
        assert opener.open(sealed, hash_key(KEY), peer, EXPIRES, NOW) == PAYLOAD


FORGERIES: dict[str, Callable[[Cast], bytes]] = {
    "of another peer, by a stranger": lambda c: c.stranger.close(KEY, c.peer.peer_id, PAYLOAD, EXPIRES),
    "of another peer, by a member": lambda c: c.leader.close(KEY, c.peer.peer_id, PAYLOAD, EXPIRES),
    "of another stage": lambda c: c.peer.close(rewards_key(3, 0), c.peer.peer_id, PAYLOAD, EXPIRES),
    "of an earlier time": lambda c: c.peer.close(KEY, c.peer.peer_id, PAYLOAD, EXPIRES - 60.0),
    "with another value": lambda c: c.peer.close(KEY, c.peer.peer_id, PAYLOAD, EXPIRES).replace(
        msgpack.packb(PAYLOAD), msgpack.packb(msgpack.packb(9.5))
    ),
    "not sealed": lambda c: PAYLOAD,
    "empty": lambda c: b"",
    "a pickle": lambda c: b"\x80\x04\x95cos\nsystem\n",
    "large": lambda c: msgpack.packb(["x" * 1_000_000] * 6),
    "deep": lambda c: b"\x91" * 100_000,
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_record_does_not_open(cast: Cast, name: str) -> None:
    assert not opens(cast, FORGERIES[name](cast))


@given(st.data())
def test_no_altered_byte_is_overlooked(cast: Cast, data: st.DataObject) -> None:
    sealed = bytearray(cast.peer.close(KEY, cast.peer.peer_id, PAYLOAD, EXPIRES))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    assert not opens(cast, bytes(sealed))


def test_a_record_cannot_be_made_to_outlast_later_ones(cast: Cast) -> None:
    peer = cast.peer.peer_id
    assert not opens(cast, cast.peer.close(KEY, peer, PAYLOAD, EXPIRES), expires=EXPIRES + 3600.0)
    fast = EXPIRES + MAX_CLOCK_DIFFERENCE_SECONDS
    assert opens(cast, cast.peer.close(KEY, peer, PAYLOAD, fast), expires=fast)
    assert not opens(cast, cast.peer.close(KEY, peer, PAYLOAD, fast + 1.0), expires=fast + 1.0)


def test_strangers_have_no_place_where_the_members_are_named(cast: Cast) -> None:
    stranger = cast.stranger.peer_id
    sealed = cast.stranger.close(KEY, stranger, PAYLOAD, EXPIRES)

    assert not opens(cast, sealed, subkey=stranger)
    anybody = Opener(Members((cast.leader.peer_id,)), hash_key)
    assert anybody.open(sealed, hash_key(KEY), stranger, EXPIRES, NOW) == PAYLOAD


@pytest.mark.parametrize("key", [ROUND_AND_STAGE_KEY, leaderboard_key(3, 1)])
def test_only_leaders_announce(cast: Cast, key: str) -> None:
    opener = cast.opener()
    assert opener.open(cast.leader.close(key, None, PAYLOAD, EXPIRES), hash_key(key), None, EXPIRES, NOW) == PAYLOAD
    for other in (cast.peer, cast.stranger):
        with pytest.raises(ValueError, match="not the owner's"):
            opener.open(other.close(key, None, PAYLOAD, EXPIRES), hash_key(key), None, EXPIRES, NOW)


def test_outputs_and_unknown_keys_belong_to_whom_the_key_names(cast: Cast) -> None:
    question, key = "a" * 32, outputs_key(cast.peer.peer_id, 3, 1)
    assert opens(cast, cast.peer.close(key, question, PAYLOAD, EXPIRES), key, question)
    assert not opens(cast, cast.leader.close(key, question, PAYLOAD, EXPIRES), key, question)
    assert not opens(cast, cast.leader.close("other", question, PAYLOAD, EXPIRES), "other", question)


@pytest.mark.parametrize("content", [b"", b"\x08\x01\x12\x40" + b"k" * 64, b"\x08\x00\x12\x03abc"])
def test_what_is_no_rsa_key_cannot_seal(content: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        Seal(content)
