"""Bytes of strangers that could do harm are told from plain values before anything decodes them."""

import json
import math
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.readable import MAX_VALUE_BYTES, is_readable

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.binary(max_size=40)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(_SCALARS, inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=300))
def test_any_bytes_are_judged_without_an_error(raw: bytes) -> None:
    if is_readable(raw):
        json.dumps(msgpack.unpackb(raw, ext_hook=lambda _code, data: data.hex()))


@given(_VALUES)
def test_what_is_readable_is_plain(value: Any) -> None:
    try:
        raw = msgpack.packb(value)
    except (OverflowError, ValueError, UnicodeEncodeError):
        return
    if is_readable(raw):
        assert json.dumps(msgpack.unpackb(raw), allow_nan=False)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x91" * 5000 + b"\x01", id="lists within lists"),
        pytest.param(b"\x91" * 200 + b"\x01", id="lists within lists, just deep enough for pickle to fail"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="a list that claims four billion items"),
        pytest.param(msgpack.packb([0] * 2000), id="a long list"),
        pytest.param(msgpack.packb("x" * (MAX_VALUE_BYTES + 1)), id="a long text"),
        pytest.param(msgpack.packb(math.nan), id="nan"),
        pytest.param(msgpack.packb(math.inf), id="inf"),
        pytest.param(msgpack.packb(b"bytes"), id="bytes"),
        pytest.param(msgpack.packb(msgpack.Timestamp(1, 1)), id="a timestamp"),
        pytest.param(msgpack.packb(msgpack.ExtType(0x50, b"")), id="a dictionary of the DHT within a value"),
        pytest.param(b"\xc1", id="a byte that msgpack never uses"),
        pytest.param(b"", id="nothing"),
        pytest.param(msgpack.packb(1.0) + b"\x01", id="two values"),
        pytest.param(b"\xa2\xff\xfe", id="text that is not UTF-8"),
    ],
)
def test_a_value_that_could_do_harm_is_not_readable(raw: bytes) -> None:
    assert not is_readable(raw)


def test_tuples_within_tuples_are_readable_to_a_depth() -> None:
    raw = msgpack.packb(1)
    readable = []
    for _ in range(300):
        raw = msgpack.packb(msgpack.ExtType(0x40, b"\x91" + raw))
        readable.append(is_readable(raw))
    assert readable[0]
    assert not any(readable[8:])
