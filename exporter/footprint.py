"""The memory that a process really costs: PSS on Linux, what Activity Monitor shows on macOS.

A sum of resident sizes counts the pages that a trainer shares with its forked children several times, and on macOS
misses what is compressed or wired for the GPU.
"""

import re
import struct
import sys
from functools import cache
from pathlib import Path
from typing import Any

# struct rusage_info_v0 of <sys/resource.h>: a UUID of 16 bytes, then 64-bit counters, phys_footprint the eighth.
RUSAGE_INFO_V0 = 0
RUSAGE_INFO_V0_BYTES = 96
_PHYS_FOOTPRINT = struct.Struct("=72xQ")

# Pages that went to swap count too: a peer that creeps into swap has not shrunk.
_PSS = re.compile(rb"^(?:Pss|SwapPss):\s+(\d+) kB$", re.MULTILINE)


def read_footprint(pid: int, *, proc: Path = Path("/proc")) -> float | None:
    """Bytes; None where the system does not tell, or not us."""
    try:
        if sys.platform == "darwin":
            return parse_rusage(_read_rusage(pid))
        return parse_smaps_rollup((proc / str(pid) / "smaps_rollup").read_bytes())
    except (OSError, ValueError):
        return None


def parse_smaps_rollup(text: bytes) -> float:
    """Bytes of `Pss` and `SwapPss` in /proc/PID/smaps_rollup. Raises ValueError."""
    found = _PSS.findall(text)
    if not found:
        raise ValueError("no Pss in smaps_rollup")
    return 1024.0 * sum(map(int, found))


def parse_rusage(buffer: bytes) -> float:
    """Bytes of `ri_phys_footprint` in a rusage_info_v0. Raises ValueError."""
    if len(buffer) < RUSAGE_INFO_V0_BYTES:
        raise ValueError("rusage_info is too short")
    return float(_PHYS_FOOTPRINT.unpack_from(buffer)[0])


def _read_rusage(pid: int) -> bytes:
    library, ctypes = _libproc()
    buffer = ctypes.create_string_buffer(RUSAGE_INFO_V0_BYTES)
    if library.proc_pid_rusage(pid, RUSAGE_INFO_V0, buffer) != 0:
        raise OSError(ctypes.get_errno(), "proc_pid_rusage failed")
    return bytes(buffer.raw)


@cache
def _libproc() -> tuple[Any, Any]:
    import ctypes  # only macOS pays for it

    return ctypes.CDLL("/usr/lib/libproc.dylib", use_errno=True), ctypes
