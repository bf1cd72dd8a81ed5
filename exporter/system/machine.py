"""What this machine has for its programs: the smallest of hardware, control groups (containers, slices) and affinity.

Whoever plans, checks, warns or divides threads asks here, so that all reckon with the same numbers.
"""

import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from exporter.system.control_groups import ROOT, Group, memory_groups, processor_quota


class Hardware(NamedTuple):
    """What the system says without regard to limits: bytes, and processors. `affinity` is None where there is none."""

    memory_bytes: int
    available_bytes: int
    swap_total_bytes: int
    swap_used_bytes: int
    cores: int
    affinity: int | None = None
    fast_cores: int | None = None


class Limit(NamedTuple):
    """Bytes, and who sets the limit."""

    bytes: int
    origin: str


@dataclass(frozen=True)
class Memory:
    """Bytes that programs here may use. `limit` is None where the hardware alone decides.

    `pressure_files` are those of the limited groups, beside the system's own.
    """

    total_bytes: int
    available_bytes: int
    swap_total_bytes: int
    swap_used_bytes: int
    limit: Limit | None = None
    pressure_files: tuple[Path, ...] = ()

    @property
    def origin(self) -> str:
        """Where the total comes from, in words."""
        return self.limit.origin if self.limit else "read"


@dataclass(frozen=True)
class Cores:
    """Whole processors; `fast` of them are performance cores, where a processor has two kinds."""

    count: int
    origin: str = "read"
    fast: int | None = None


def read_memory(*, root: Path = ROOT) -> Memory:
    """This machine's memory now."""
    return decide_memory(read_hardware(), memory_groups(root=root))


def read_cores(*, root: Path = ROOT) -> Cores:
    """The processors that a program started here may keep busy."""
    return decide_cores(read_hardware(), processor_quota(root=root))


def read_limit(pid: int, *, root: Path = ROOT) -> Limit | None:
    """The memory limit that a process runs under; None where the hardware alone limits it."""
    return _tightest(memory_groups(pid, root=root), psutil.virtual_memory().total)


def decide_memory(hardware: Hardware, groups: list[Group]) -> Memory:
    """The smallest of all; pure."""
    limit = _tightest(groups, hardware.memory_bytes)
    if limit is None:
        return Memory(
            hardware.memory_bytes, hardware.available_bytes, hardware.swap_total_bytes, hardware.swap_used_bytes
        )
    limited = [group for group in groups if group.limit_bytes is not None]
    left = [group.limit_bytes - group.used_bytes for group in limited if group.limit_bytes and group.used_bytes]
    swaps = [group.swap_limit_bytes for group in groups if group.swap_limit_bytes is not None]
    # What the tightest group has swapped out; the machine's swap is mostly that of others.
    swapped = min(limited, key=lambda group: group.limit_bytes or 0).swap_used_bytes
    return Memory(
        limit.bytes,
        max(0, min(limit.bytes, hardware.available_bytes, *left)),
        min(hardware.swap_total_bytes, *swaps) if swaps else hardware.swap_total_bytes,
        hardware.swap_used_bytes if swapped is None else swapped,
        limit,
        tuple(group.pressure for group in limited if group.pressure),
    )


def decide_cores(hardware: Hardware, quota: tuple[float, str] | None) -> Cores:
    """The smallest of all, in whole cores: a thread beyond a quota makes all threads wait; pure."""
    found = Cores(hardware.cores, fast=hardware.fast_cores)
    if hardware.affinity is not None and hardware.affinity < found.count:
        found = Cores(hardware.affinity, "this process's affinity")
    if quota is not None and quota[0] < found.count:
        found = Cores(max(1, int(quota[0])), f"CPU quota of {quota[0]:.2g} in control group {quota[1]}")
    return found


def read_hardware() -> Hardware:
    """What psutil and the system say."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return Hardware(
        memory.total,
        memory.available,
        swap.total,
        swap.used,
        os.cpu_count() or 1,
        len(os.sched_getaffinity(0)) if sys.platform == "linux" else None,
        # As Apple names them; Intel Macs have one kind, and no such value.
        read_sysctl("hw.perflevel0.logicalcpu") if sys.platform == "darwin" else None,
    )


def read_sysctl(name: str) -> int | None:
    """A whole number of macOS' kernel; None where it has no such value."""
    library, ctypes = _libsystem()
    value, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    arguments = (name.encode(), ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0))
    return None if library.sysctlbyname(*arguments) else int(value.value)


@cache
def _libsystem() -> tuple[Any, Any]:
    import ctypes  # only macOS pays for it

    return ctypes.CDLL("/usr/lib/libSystem.dylib", use_errno=True), ctypes


def _tightest(groups: list[Group], hardware_bytes: int) -> Limit | None:
    limits = [(group.limit_bytes, group.name) for group in groups if group.limit_bytes is not None]
    limits = [one for one in limits if one[0] < hardware_bytes]
    return Limit(min(limits)[0], f"limit of control group {min(limits)[1]}") if limits else None
