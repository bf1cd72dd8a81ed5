"""NVIDIA's Xid errors in the kernel's log, where this user may read that."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

# https://docs.nvidia.com/deploy/xid-errors/: stopped processing, micro-controller halted, fallen off the bus,
# uncontained memory error, and the two of a GPU system processor that is silent.
FATAL = frozenset({46, 62, 79, 95, 119, 120})
# A card that still answers so long after a fatal one has been reset.
RECENT_SECONDS = 900.0

# "6,1234,5678901,-;NVRM: Xid (PCI:0000:01:00): 79, pid=..."; microseconds since the machine was started.
_RECORD = re.compile(r"^\d+,\d+,(\d+),[^;]*;NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d{1,4})\b")
_BUS = re.compile(r"^([0-9a-fA-F]+):([0-9a-fA-F]+):([0-9a-fA-F]+)")
_MAX_RECORDS = 100_000


class Xid(NamedTuple):
    """An error of the card in a slot, and how long ago it was, in seconds."""

    slot: tuple[int, ...]
    number: int
    age_seconds: float


def parse(records: Iterable[str], *, uptime_seconds: float) -> list[Xid]:
    """The errors in records of /dev/kmsg."""
    found = []
    for record in records:
        match = _RECORD.match(record)
        slot = parse_slot(match[2]) if match else None
        if match and slot:
            found.append(Xid(slot, int(match[3]), max(0.0, uptime_seconds - int(match[1]) / 1e6)))
    return found


def parse_slot(bus: str) -> tuple[int, ...] | None:
    """Domain, bus and device of a PCI address, which NVML and the kernel write with different numbers of digits."""
    match = _BUS.match(bus)
    return tuple(int(part, 16) for part in match.groups()) if match else None


def read_kernel_log(path: Path = Path("/dev/kmsg")) -> Iterator[str]:
    """What the kernel has logged and still holds; nothing where this user may not read it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        for _ in range(_MAX_RECORDS):
            try:
                record = os.read(descriptor, 8192)
            except BrokenPipeError:
                # This record was overwritten meanwhile; the next read goes on behind it.
                continue
            except OSError:
                return
            if not record:
                return
            yield record.decode(errors="replace")
    finally:
        os.close(descriptor)
