"""A peer's libp2p identity: the private key file, and the peer id derived from it.

The formats are libp2p's (https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md), RSA keys only: the
swarm uses no others.
"""

import contextlib
import hashlib
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_RSA = b"\x08\x00"  # Field 1 of both protobuf messages, PrivateKey and PublicKey: the key type, 0 for RSA.
_DATA_FIELD = 0x12  # Field 2: the key in DER.
_SHA2_256 = b"\x12\x20"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def ensure_identity(path: Path) -> str:
    """Creates the key file if it is missing, readable only by its owner. Returns the peer id.

    Raises OSError, or ValueError if the file is not an RSA identity.
    """
    if not path.exists():
        _create(path)
    return read_peer_id(path)


def read_peer_id(path: Path) -> str:
    """The peer id (`Qm…`) of a key file. Raises OSError, or ValueError if it is not an RSA identity."""
    return peer_id(path.read_bytes(), name=str(path))


def peer_id(identity: bytes, *, name: str = "the identity") -> str:
    """The peer id of a libp2p protobuf private key. Raises ValueError."""
    try:
        private_key = serialization.load_der_private_key(_private_key_data(identity), password=None)
    except (ValueError, TypeError, IndexError) as error:
        raise ValueError(f"{name} is not a libp2p RSA private key") from error
    public_key = private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return _base58(_SHA2_256 + hashlib.sha256(_RSA + _field(public_key)).digest())


def _create(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o400), "wb") as file:
        file.write(_RSA + _field(key))
        file.flush()
        os.fsync(file.fileno())
    # A link, not a rename: two processes that start at once get the same identity.
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()


def _field(data: bytes) -> bytes:
    length, size = bytearray(), len(data)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([_DATA_FIELD, *length, size]) + data


def _private_key_data(identity: bytes) -> bytes:
    if identity[:2] != _RSA or identity[2] != _DATA_FIELD:
        raise ValueError("not an RSA key")
    size, shift, at = 0, 0, 3
    while True:
        size |= (identity[at] & 0x7F) << shift
        if identity[at] <= 0x7F:
            return identity[at + 1 : at + 1 + size]
        shift, at = shift + 7, at + 1


def _base58(data: bytes) -> str:
    """base58btc; a multihash never starts with a zero byte, so leading zeros need no encoding."""
    number, text = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return text
