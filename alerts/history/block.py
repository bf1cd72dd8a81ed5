"""Encodes rows of numbers: column by column, as differences of integers, compressed. Pure.

A constant column takes a dozen bytes, a None none of its own. Numbers are rounded to a column's decimals, as integers
compress far better than doubles.
"""

import struct
import zlib
from collections.abc import Callable, Container, Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from math import gcd
from typing import NamedTuple

Column = Sequence[float | None]

# The integers that a double holds exactly.
_LARGEST = 2**53
_WIDTHS = (("b", 1, 2**7), ("h", 2, 2**15), ("i", 4, 2**31), ("q", 8, 2**63))
_HEAD = struct.Struct("<HH")
# Id of the column, flags, decimals, width, first number, unit of the differences, bytes of gaps and of differences.
_COLUMN = struct.Struct("<HBbBqqHI")
_HAS_GAPS, _IS_DOUBLES = 1, 2
_TIME_DECIMALS = 3
_TIMES = 0xFFFF


class Block(NamedTuple):
    """Rows in the order in which they were recorded: their times, epoch seconds, and a column for each series."""

    times: list[float]
    columns: dict[int, list[float | None]]


def encode(times: Sequence[float], columns: Mapping[int, Column], decimals: Callable[[int], int]) -> bytes:
    """The block as bytes; `decimals` returns how many a column keeps. At most 65535 rows; column ids below 65535."""
    parts = [_encode_column(_TIMES, times, _TIME_DECIMALS)]
    parts += [_encode_column(number, column, decimals(number)) for number, column in columns.items()]
    return zlib.compress(_HEAD.pack(len(times), len(parts)) + b"".join(parts), 9)


def decode(data: bytes, wanted: Container[int] | None = None) -> Block:
    """The block with the wanted columns (None: all); raises ValueError for bytes that are not a block."""
    try:
        return _decode(zlib.decompress(data), wanted)
    except (zlib.error, struct.error, ArithmeticError, LookupError, TypeError, RuntimeError, StopIteration) as error:
        raise ValueError(f"not a block: {error}") from None


def _decode(raw: bytes, wanted: Container[int] | None) -> Block:
    rows, count = _HEAD.unpack_from(raw)
    columns: dict[int, list[float | None]] = {}
    at = _HEAD.size
    for _ in range(count):
        head = _COLUMN.unpack_from(raw, at)
        at += _COLUMN.size
        end = at + head[6] + head[7]
        if head[0] == _TIMES or wanted is None or head[0] in wanted:
            columns[head[0]] = _decode_column(head, raw[at:end], rows)
        at = end
    times = [one for one in columns.pop(_TIMES, []) if one is not None]
    if len(times) != rows:
        raise ValueError("not a block: a row has no time")
    return Block(times, columns)


def _encode_column(number: int, column: Column, decimals: int) -> bytes:
    values = [value for value in column if value is not None]
    gaps = _encode_gaps(column) if len(values) < len(column) else b""
    flags = _HAS_GAPS if gaps else 0
    scale = 10.0**decimals
    if values and max(map(abs, values)) * scale >= _LARGEST:
        body = struct.pack(f"<{len(values)}d", *values)
        return _COLUMN.pack(number, flags | _IS_DOUBLES, 0, 8, 0, 1, len(gaps), len(body)) + gaps + _plane(body, 8)
    whole = [round(value * scale) for value in values]
    differences = [after - before for before, after in pairwise(whole)]
    unit = gcd(*differences)
    first = whole[0] if whole else 0
    width, body = 1, b""
    if unit:
        code, width = _width(max(map(abs, differences)) // unit)
        body = _plane(struct.pack(f"<{len(differences)}{code}", *(one // unit for one in differences)), width)
    return _COLUMN.pack(number, flags, decimals, width, first, unit, len(gaps), len(body)) + gaps + body


def _decode_column(head: tuple[int, ...], body: bytes, rows: int) -> list[float | None]:
    _, flags, decimals, width, first, unit, gap_bytes, _ = head
    has = _decode_gaps(body[:gap_bytes], rows) if flags & _HAS_GAPS else None
    count = rows if has is None else sum(has)
    packed = _unplane(body[gap_bytes:], width)
    if flags & _IS_DOUBLES:
        values: list[float] = list(struct.unpack(f"<{count}d", packed))
    elif unit:
        code = next(code for code, size, _ in _WIDTHS if size == width)
        scale = 10.0**decimals
        steps = struct.unpack(f"<{count - 1}{code}", packed)
        values = [(first + unit * sum_) / scale for sum_ in accumulate(steps, initial=0)]
    else:
        values = [first / 10.0**decimals] * count
    if has is None:
        return list(values)
    rest = iter(values)
    return [next(rest) if one else None for one in has]


def _width(largest: int) -> tuple[str, int]:
    return next((code, size) for code, size, limit in _WIDTHS if largest < limit)


def _plane(body: bytes, width: int) -> bytes:
    """All first bytes, then all second ones, and so on: similar bytes compress better together."""
    return body if width == 1 else b"".join(body[part::width] for part in range(width))


def _unplane(body: bytes, width: int) -> bytes:
    if width == 1:
        return body
    out, count = bytearray(len(body)), len(body) // width
    for part in range(width):
        out[part::width] = body[part * count : (part + 1) * count]
    return bytes(out)


def _encode_gaps(column: Column) -> bytes:
    """Lengths of the runs of None and not None in turn; the first run is one of None, and may be empty."""
    runs = [(is_none, len(list(group))) for is_none, group in groupby(value is None for value in column)]
    lengths = [length for _, length in runs]
    if not runs[0][0]:
        lengths.insert(0, 0)
    return struct.pack(f"<{len(lengths)}H", *lengths)


def _decode_gaps(body: bytes, rows: int) -> list[bool]:
    has: list[bool] = []
    for index, length in enumerate(struct.unpack(f"<{len(body) // 2}H", body)):
        has += [index % 2 == 1] * length
    if len(has) != rows:
        raise ValueError("not a block: the gaps do not fit")
    return has
