"""Which bytes of the DHT decode to something harmless; pure.

Anybody can write there, and one value that does not decode would fail the read of all values under its key.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgpack

MAX_VALUE_BYTES = 64 * 1024
MAX_DEPTH = 4
MAX_ITEMS = 1024

_TUPLE = 0x40  # hivemind's msgpack extension type of a tuple


class _TooDeep(ValueError):
    pass


def is_readable(raw: bytes) -> bool:
    """Whether `raw` is a small msgpack value of plain numbers, text, lists, tuples and maps."""
    if len(raw) > MAX_VALUE_BYTES:
        return False
    try:
        return _is_plain(_decode(raw, 0), 0)
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException):
        return False


def _decode(raw: bytes, depth: int) -> Any:
    def decode_tuple(code: int, data: bytes) -> Any:
        if code != _TUPLE or depth >= MAX_DEPTH:
            raise _TooDeep
        return tuple(_decode(data, depth + 1))

    return msgpack.unpackb(
        raw, ext_hook=decode_tuple, raw=False, max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS, strict_map_key=True
    )


def _is_plain(value: object, depth: int) -> bool:
    if value is None or isinstance(value, bool | int | str):
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if depth >= MAX_DEPTH:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item, depth + 1) for key, item in value.items())
    return isinstance(value, list | tuple) and all(_is_plain(item, depth + 1) for item in value)
