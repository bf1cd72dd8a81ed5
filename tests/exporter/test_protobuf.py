"""The wire format, against Google's own encoder, and any bytes at all."""

import contextlib
import math
import struct

import pytest
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.protobuf import (
    BYTES,
    FIXED64,
    VARINT,
    from_zigzag,
    read_fields,
    to_double,
    to_float,
    to_signed,
    to_text,
)


def test_what_google_encodes_is_read() -> None:
    (field,) = read_fields(Value(number_value=0.25).SerializeToString())
    assert field[:2] == (2, FIXED64)
    assert to_double(field[2]) == 0.25
    (field,) = read_fields(Value(string_value="Grüße").SerializeToString())
    assert field[:2] == (3, BYTES)
    assert to_text(field[2], 100) == "Grüße"
    assert to_text(field[2], 3) == "Gr\ufffd"


@given(st.integers(-(2**63), 2**63 - 1))
@settings(max_examples=50, deadline=None)
def test_integers_are_read(number: int) -> None:
    fields = list(read_fields(Timestamp(seconds=number).SerializeToString()))
    assert [(1, VARINT, number)] == [(n, w, to_signed(v)) for n, w, v in fields] or (number, fields) == (0, [])


@pytest.mark.parametrize(("wire", "number"), [(0, 0), (1, -1), (2, 1), (3, -2), (2**64 - 1, -(2**63))])
def test_a_zigzag_integer_has_its_sign(wire: int, number: int) -> None:
    assert from_zigzag(wire) == number


@pytest.mark.parametrize(
    "message",
    [b"\x00\x01", b"\x0a\x05abc", b"\x09\x00", b"\x0b", b"\xff" * 11, b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"],
    ids=["no number", "too long", "cut off", "a group", "endless", "huge"],
)
def test_what_is_not_well_formed_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"field|integer|wire type"):
        list(read_fields(message))


def test_a_number_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes instead of 8"):
        to_double(memoryview(b"abc"))
    assert math.isnan(to_float(memoryview(struct.pack("<f", math.nan))))


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert sum(1 for _ in read_fields(message)) <= len(message)
