"""Records that only their owner can write: sealed with the peer's key, and opened by whoever knows its id.

A sealed value stands in the swarm in place of the plain one. It names its key, so that an owner follows from it, and
when it expires, so that an old one cannot be stored again to outlast a newer one. The writer's public key goes along:
a peer id is its hash. hivemind's own signed records name the whole key in each subkey, which is no peer id any more,
say nothing of who may write, and are refused by the crowd when one of them is wrong.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgpack
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from exporter.identity.peer_id import peer_id_of_rsa, rsa_private_key
from exporter.run_folder import read_bounded
from trainer.protocol import EXPIRATION_SECONDS, MAX_CLOCK_DIFFERENCE_SECONDS, read_owner
from trainer.readable import is_readable

MAX_IDENTITY_BYTES = 16 * 1024
MAX_KEY_BYTES = 1024
MAX_REMEMBERED = 50_000

_PURPOSE = "peerwatch record 1"
_TOLERATED_SECONDS = 0.001
_PADDING = padding.PKCS1v15()
_HASH = hashes.SHA256()


@dataclass(frozen=True)
class Members:
    """Who belongs to a swarm, and who may lead it, as peer ids; no `ids` means every peer with a key."""

    leaders: tuple[str, ...]
    ids: frozenset[str] = frozenset()

    def may_write(self, writer: str, key: str, subkey: object) -> bool:
        """Whether the peer may write this record: its own as a member, the swarm's as a leader."""
        owner = read_owner(key, subkey)
        if owner is None:
            return writer in self.leaders
        return owner == writer and (not self.ids or writer in self.ids or writer in self.leaders)


class Seal:
    """A peer's private key, which writes sealed values."""

    def __init__(self, identity: bytes) -> None:
        """Takes a libp2p private key. Raises ValueError."""
        key = serialization.load_der_private_key(rsa_private_key(identity), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("only RSA identities can sign records")
        self._key = key
        self._public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.peer_id = peer_id_of_rsa(self._public)

    @classmethod
    def read(cls, path: Path) -> "Seal":
        """The key of an identity file. Raises OSError or ValueError."""
        return cls(read_bounded(path.resolve(), MAX_IDENTITY_BYTES))

    def close(self, key: str, subkey: str | None, payload: bytes, expires: float) -> bytes:
        """The sealed form of `payload`, a value as the swarm stores it."""
        signature = self._key.sign(_signed(key, subkey, payload, expires), _PADDING, _HASH)
        return bytes(msgpack.packb([_PURPOSE, key, expires, payload, self._public, signature]))


@dataclass
class Opener:
    """Opens sealed values, as a member of the swarm."""

    members: Members
    hash_key: Callable[[str], bytes]
    _genuine: "OrderedDict[bytes, None]" = field(default_factory=OrderedDict)

    def open_record(self, value: bytes, hashed_key: bytes, subkey: bytes, expires: float, now: float) -> bytes:
        """The payload of a record, value and subkey as the swarm stores them. Raises ValueError where it is false."""
        try:
            sealed, name = msgpack.unpackb(value), msgpack.unpackb(subkey)
        except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
            raise ValueError("not sealed") from None
        if not isinstance(sealed, bytes):
            raise ValueError("not sealed")
        payload = self.open(sealed, hashed_key, name, expires, now)
        if not is_readable(payload):
            raise ValueError("not readable")
        return payload

    def open(self, sealed: bytes, hashed_key: bytes, subkey: object, expires: float, now: float) -> bytes:
        """The payload of a sealed value found under a key, given as its hash. Raises ValueError where it is false."""
        key, until, payload, public, signature = _unpack(sealed)
        if abs(until - expires) > _TOLERATED_SECONDS:
            raise ValueError("another time of expiry")
        if until > now + EXPIRATION_SECONDS + MAX_CLOCK_DIFFERENCE_SECONDS:
            raise ValueError("lives too long")
        # A signature costs some 50 microseconds, and the same records are read again and again.
        mark = hashlib.sha256(repr((hashed_key, subkey)).encode() + sealed).digest()
        if mark in self._genuine:
            return payload
        if self.hash_key(key) != hashed_key:
            raise ValueError("another key")
        if not self.members.may_write(peer_id_of_rsa(public), key, subkey):
            raise ValueError("not the owner's")
        _verify(public, signature, _signed(key, subkey, payload, until))
        self._genuine[mark] = None
        while len(self._genuine) > MAX_REMEMBERED:
            self._genuine.popitem(last=False)
        return payload


def _verify(public: bytes, signature: bytes, signed: bytes) -> None:
    key = serialization.load_der_public_key(public)
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("no RSA key")
    try:
        key.verify(signature, signed, _PADDING, _HASH)
    except InvalidSignature:
        raise ValueError("false signature") from None


def _signed(key: str, subkey: object, payload: bytes, expires: float) -> bytes:
    return bytes(msgpack.packb([_PURPOSE, key, subkey, expires, payload]))


def _unpack(sealed: bytes) -> tuple[str, float, bytes, bytes, bytes]:
    try:
        purpose, key, expires, payload, public, signature = msgpack.unpackb(sealed, max_array_len=6, max_map_len=0)
    except (ValueError, TypeError, msgpack.UnpackException):
        raise ValueError("not sealed") from None
    has_types = isinstance(key, str) and isinstance(expires, float) and isinstance(payload, bytes)
    if purpose != _PURPOSE or not has_types or not all(_is_short(part) for part in (public, signature)):
        raise ValueError("not sealed")
    return key, expires, payload, public, signature


def _is_short(part: object) -> bool:
    return isinstance(part, bytes) and len(part) <= MAX_KEY_BYTES
