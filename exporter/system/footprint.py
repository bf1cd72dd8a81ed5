"""The memory footprint of a process: PSS on Linux, what Activity Monitor shows on macOS.

A sum of RSS counts the pages that a trainer shares with its forked children several times, and on macOS misses memory
that is compressed or wired for the GPU. It stands in where the footprint cannot be read: of another user's process, in
some sandboxes. Too much is better there than nothing.
"""

import re
import struct
import sys
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import psutil

# struct rusage_info_v0 of <sys/resource.h>: a UUID of 16 bytes, then 64-bit counters, phys_footprint the eighth.
RUSAGE_INFO_V0 = 0
RUSAGE_INFO_V0_BYTES = 96
_PHYS_FOOTPRINT = struct.Struct("=72xQ")

# Swapped pages count too: a peer that is swapped out has not shrunk.
_PSS = re.compile(rb"^(?:Pss|SwapPss):\s+(\d+) kB$", re.MULTILINE)
_PSS_FILE = re.compile(rb"^Pss_File:\s+(\d+) kB$", re.MULTILINE)
_RSS_FILE = re.compile(rb"^RssFile:\s+(\d+) kB$", re.MULTILINE)
_SWAPPED = re.compile(rb"^VmSwap:\s+(\d+) kB$", re.MULTILINE)


class Use(NamedTuple):
    """The memory of a process in bytes; `is_resident` says that its resident size stands in for its footprint."""

    bytes: float
    is_resident: bool = False


def read_footprint(pid: int, *, proc: Path = Path("/proc")) -> float | None:
    """Bytes; None where the system does not report it, or access is denied."""
    try:
        if sys.platform == "darwin":
            return parse_rusage(_read_rusage(pid))
        return parse_smaps_rollup(_read_smaps(proc / str(pid)))
    except (OSError, ValueError):
        return None


def measure(process: psutil.Process, *, proc: Path = Path("/proc")) -> Use:
    """The footprint, or what stands in for it. Raises psutil.Error where not even that can be read."""
    footprint = read_footprint(process.pid, proc=proc)
    # Some sandboxes have the file, and write zeros into it.
    if footprint:
        return Use(footprint)
    resident = process.memory_info().rss + read_swapped(process.pid, proc=proc)
    # A zombie has no memory left, and nothing to read.
    return Use(resident, is_resident=resident > 0)


def read_swapped(pid: int, *, proc: Path = Path("/proc")) -> float:
    """Bytes of a process that are swapped out, which everybody may read. 0 where the system does not report it."""
    try:
        swapped = _SWAPPED.search((proc / str(pid) / "status").read_bytes())
    except OSError:
        return 0.0
    return 1024.0 * int(swapped[1]) if swapped else 0.0


def read_shared_files(pid: int, *, proc: Path = Path("/proc")) -> float:
    """Bytes of mapped files, such as libraries, that the footprint attributes to other processes which map them too.

    A process that runs alone has a footprint larger by as much. 0 where the system does not report it.
    """
    try:
        whole = _RSS_FILE.search((proc / str(pid) / "status").read_bytes())
        share = _PSS_FILE.search((proc / str(pid) / "smaps_rollup").read_bytes())
    except OSError:
        return 0.0
    return max(0.0, 1024.0 * (int(whole[1]) - int(share[1]))) if whole and share else 0.0


class Footprints:
    """Footprints of a process tree over time, cached while the resident size is unchanged.

    Linux walks every page of a process to compute PSS: milliseconds for a trainer, which cannot map memory meanwhile.
    RSS is cheap, so the walk is repeated only after RSS has changed, or when the cached value is old.
    """

    MOVED = 0.01
    OLD_SECONDS = 60.0

    def __init__(self, read: Callable[[psutil.Process], Use] = measure) -> None:
        self._read = read
        self._known: dict[psutil.Process, tuple[Use, int, float]] = {}

    def of(self, process: psutil.Process, now: float) -> Use:
        """Raises psutil.Error for a process that is gone, or that cannot be measured at all."""
        rss_bytes = process.memory_info().rss
        use, rss_then, read_at = self._known.get(process, (None, 0, 0.0))
        is_moved = abs(rss_bytes - rss_then) > self.MOVED * rss_then
        if use is not None and not is_moved and 0 <= now - read_at < self.OLD_SECONDS:
            return use
        use = self._read(process)
        if not use.is_resident:
            self._known[process] = (use, rss_bytes, now)
        return use

    def keep(self, tree: Collection[psutil.Process]) -> None:
        """Forgets every process that is not in the tree."""
        self._known = {process: known for process, known in self._known.items() if process in tree}


def parse_smaps_rollup(text: bytes) -> float:
    """Bytes of `Pss` and `SwapPss` in /proc/PID/smaps_rollup, or of all mappings in smaps. Raises ValueError."""
    found = _PSS.findall(text)
    if not found:
        raise ValueError("no Pss in smaps_rollup")
    return 1024.0 * sum(map(int, found))


def _read_smaps(folder: Path) -> bytes:
    try:
        return (folder / "smaps_rollup").read_bytes()
    except FileNotFoundError:  # Linux before 4.14 has only the long form.
        return (folder / "smaps").read_bytes()


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
