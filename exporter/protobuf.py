"""Reads the wire format of protocol buffers, without a schema: https://protobuf.dev/programming-guides/encoding/."""

import struct
from collections.abc import Iterator
from typing import Any

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

_MAX_VARINT_BYTES = 10
_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")

# An integer for a varint, a memoryview for everything else.
Field = tuple[int, int, Any]


def read_fields(message: bytes | memoryview) -> Iterator[Field]:
    """Number, wire type and value of each field, as they stand. Raises ValueError where the message is not well formed.

    Nothing is copied, and a field costs as much as it is long: a message is as cheap as its bytes are few.
    """
    view = memoryview(message)
    place, end = 0, len(view)
    while place < end:
        key, place = read_varint(view, place)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise ValueError("a field without a number")
        if wire == VARINT:
            value, place = read_varint(view, place)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, place = read_varint(view, place)
        elif wire == FIXED64:
            size = 8
        elif wire == FIXED32:
            size = 4
        else:
            raise ValueError(f"unknown wire type {wire}")
        if size > end - place:
            raise ValueError("a field ends behind its message")
        yield number, wire, view[place : place + size]
        place += size


def read_varint(view: memoryview, place: int) -> tuple[int, int]:
    """An unsigned integer of 64 bits, and the place behind it. Raises ValueError."""
    value = 0
    for count, byte in enumerate(view[place : place + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place + count + 1
    raise ValueError("an integer without an end")


def to_signed(value: int) -> int:
    """An int64 from its varint."""
    return value - (1 << 64) if value >> 63 else value


def from_zigzag(value: int) -> int:
    """A sint64 from its varint."""
    return (value >> 1) ^ -(value & 1)


def to_double(value: memoryview) -> float:
    """The number in a field of eight bytes. Raises ValueError for another length."""
    return _unpack(_DOUBLE, value)


def to_float(value: memoryview) -> float:
    """The number in a field of four bytes. Raises ValueError for another length."""
    return _unpack(_FLOAT, value)


def to_text(value: memoryview, max_bytes: int) -> str:
    """Text of at most `max_bytes`; what is not UTF-8 is replaced."""
    return bytes(value[:max_bytes]).decode(errors="replace")


def _unpack(form: struct.Struct, value: memoryview) -> float:
    if len(value) != form.size:
        raise ValueError(f"{len(value)} bytes instead of {form.size}")
    return float(form.unpack(value)[0])
