"""Packs the samples of many subjects at one time into bytes, and back. Pure, but for a word in the log."""

import logging
import struct
import zlib
from collections.abc import Container, Iterable, Mapping, Sequence
from math import isfinite

from alerts.history.block import Block

log = logging.getLogger(__name__)

# Subject, count of its numbers; then the numbers of their series, and they themselves.
_FRAME = struct.Struct("<IH")


def pack_samples(frames: Mapping[int, Mapping[int, float]]) -> bytes:
    """Packs the samples of one time: by subject, the value of each series."""
    parts = []
    for subject, numbers in frames.items():
        count = len(numbers)
        parts.append(_FRAME.pack(subject, count))
        parts.append(struct.pack(f"<{count}H{count}d", *numbers, *numbers.values()))
    return zlib.compress(b"".join(parts), 1)


def read_samples(
    rows: Iterable[tuple[float, bytes]], subjects: Container[int] | None, wanted: Container[int] | None = None
) -> dict[int, Block]:
    """Unpacks samples into a block for each subject; damaged ones are skipped, so that they cost only their time."""
    blocks: dict[int, Block] = {}
    for at, data in rows:
        try:
            raw = zlib.decompress(data)
        except (zlib.error, TypeError):
            log.warning("history: damaged samples at %.0f skipped", at)
            continue
        place = 0
        while place < len(raw):
            subject, count = _FRAME.unpack_from(raw, place)
            place += _FRAME.size
            if subjects is None or subject in subjects:
                block = blocks.setdefault(subject, Block([], {}))
                _append(block, at, struct.unpack_from(f"<{count}H{count}d", raw, place), wanted)
            place += count * 10
    return blocks


def _append(block: Block, at: float, unpacked: Sequence[float], wanted: Container[int] | None) -> None:
    rows, count = len(block.times), len(unpacked) // 2
    block.times.append(at)
    for number, value in zip(unpacked[:count], unpacked[count:], strict=True):
        if wanted is None or number in wanted:
            column = block.columns.setdefault(int(number), [])
            if len(column) < rows:
                column.extend([None] * (rows - len(column)))
            column.append(value if isfinite(value) else None)
    for column in block.columns.values():
        if len(column) <= rows:
            column.append(None)
