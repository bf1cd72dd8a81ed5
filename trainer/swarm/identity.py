"""A peer's libp2p identity: the private key file, made where it is missing.

The format is libp2p's (https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md); ours are RSA keys, as the
swarm's own are.
"""

import contextlib
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from exporter.identity.peer_id import read_peer_id

_RSA = b"\x08\x00"  # Field 1 of the protobuf message PrivateKey: the key type, 0 for RSA.
_DATA_FIELD = 0x12  # Field 2: the key in DER.


def ensure_identity(path: Path) -> str:
    """Creates the key file if it is missing, readable only by its owner. Returns the peer id.

    Raises OSError, or ValueError if the file is not an identity.
    """
    if not path.exists():
        _create(path)
    return read_peer_id(path)


def _create(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    # In two containers that start at once the PID is often the same.
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
        file.write(_RSA + _field(key))
        file.flush()
        os.fsync(file.fileno())
    # A link, not a rename: two processes that start at once get the same identity.
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def _field(data: bytes) -> bytes:
    length, size = bytearray(), len(data)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([_DATA_FIELD, *length, size]) + data
