"""A peer's id, from its libp2p private key file; standard library only, and nothing is started.

The formats are libp2p's (https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md): a protobuf message with
the key type and the key, which is PKCS#1 for RSA and 64 raw bytes, the seed and the public key, for Ed25519.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from exporter.protobuf import BYTES, VARINT, read_fields
from exporter.run_folder import read_bounded

# An RSA key of 16384 bits takes 10 KB.
MAX_BYTES = 16 << 10

_KEY_TYPE, _KEY = 1, 2
_RSA, _ED25519 = 0, 1
_ED25519_LENGTH = 32

_INTEGER, _BIT_STRING, _OCTET_STRING, _SEQUENCE = 0x02, 0x03, 0x04, 0x30
# SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL }
_RSA_ALGORITHM = bytes.fromhex("300d06092a864886f70d0101010500")

_SHA2_256, _PLAIN = b"\x12\x20", b"\x00"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def read_peer_id(path: Path) -> str:
    """The peer id of a key file, `Qm…` or `12D3KooW…`; the path may be a link.

    Raises OSError, or ValueError if the file is no identity.
    """
    return peer_id(read_bounded(path.resolve(), MAX_BYTES), name=str(path))


def peer_id(identity: bytes, *, name: str = "the identity") -> str:
    """The peer id of a libp2p private key. Raises ValueError, one line that says nothing of the key."""
    try:
        kind, key = _unwrap(identity)
        if kind == _ED25519:
            message = _public_key(_ED25519, _ed25519_public(key))
            return _base58(_PLAIN + bytes([len(message)]) + message)
        return peer_id_of_rsa(_rsa_public(key))
    except (ValueError, IndexError):
        raise ValueError(f"{name} is not a libp2p RSA private key, nor an Ed25519 one") from None


def rsa_private_key(identity: bytes) -> bytes:
    """The RSA key in DER of a libp2p private key. Raises ValueError."""
    kind, key = _unwrap(identity)
    if kind != _RSA:
        raise ValueError("the identity is no RSA key")
    return key


def peer_id_of_rsa(public: bytes) -> str:
    """The peer id of an RSA public key, SubjectPublicKeyInfo in DER."""
    return _base58(_SHA2_256 + hashlib.sha256(_public_key(_RSA, public)).digest())


def _unwrap(identity: bytes) -> tuple[int, bytes]:
    fields = {number: (wire, value) for number, wire, value in read_fields(identity)}
    (type_wire, kind), (key_wire, key) = fields.get(_KEY_TYPE, (VARINT, _RSA)), fields.get(_KEY, (VARINT, b""))
    if type_wire != VARINT or key_wire != BYTES or kind not in (_RSA, _ED25519):
        raise ValueError("not a private key that peers have")
    return kind, bytes(key)


def _public_key(kind: int, key: bytes) -> bytes:
    return bytes([_KEY_TYPE << 3 | VARINT, kind, _KEY << 3 | BYTES]) + _varint(len(key)) + key


def _ed25519_public(key: bytes) -> bytes:
    """The public half; early releases of libp2p wrote it a second time."""
    public = key[_ED25519_LENGTH : 2 * _ED25519_LENGTH]
    if len(public) != _ED25519_LENGTH or key[2 * _ED25519_LENGTH :] not in (b"", public):
        raise ValueError("not an Ed25519 key")
    return public


def _rsa_public(key: bytes) -> bytes:
    """SubjectPublicKeyInfo in DER of a private key in PKCS#1, or in PKCS#8 as some tools write it."""
    parts = list(_read_der(_only(key, _SEQUENCE)))
    if [tag for tag, _ in parts[:3]] == [_INTEGER, _SEQUENCE, _OCTET_STRING]:
        parts = list(_read_der(_only(parts[2][1], _SEQUENCE)))
    if len(parts) != 9 or any(tag != _INTEGER for tag, _ in parts):
        raise ValueError("not an RSA private key")
    _, modulus, exponent, _, first, second = (value for _, value in parts[:6])
    # A key that is cut or mixed up would give an id that no peer has.
    if int.from_bytes(first) * int.from_bytes(second) != int.from_bytes(modulus) or not any(modulus):
        raise ValueError("not an RSA private key")
    public = _der(_SEQUENCE, _der(_INTEGER, modulus) + _der(_INTEGER, exponent))
    return _der(_SEQUENCE, _RSA_ALGORITHM + _der(_BIT_STRING, b"\x00" + public))


def _only(data: bytes, tag: int) -> bytes:
    (found,) = _read_der(data)
    if found[0] != tag:
        raise ValueError("not the expected part")
    return found[1]


def _read_der(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each part. Raises ValueError or IndexError for what is not DER."""
    place = 0
    while place < len(data):
        tag, size, start = data[place], data[place + 1], place + 2
        if size > 0x7F:
            count = size & 0x7F
            size, start = int.from_bytes(data[start : start + count]), start + count
        place = start + size
        if place > len(data):
            raise ValueError("a part ends behind its whole")
        yield tag, data[start:place]


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size <= 0x7F else b""
    if not length:
        digits = size.to_bytes((size.bit_length() + 7) // 8)
        length = bytes([0x80 | len(digits)]) + digits
    return bytes([tag]) + length + content


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _base58(data: bytes) -> str:
    """base58btc: each leading zero byte is a 1."""
    number, text = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\x00"))) + text
