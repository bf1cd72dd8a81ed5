"""Which process a record means, and the one answer to "is it still that one?".

A PID is used again. On Linux a process is its start in clock ticks since boot, together with the boot's id: both stay
as they are, whereas a start time is derived from the boot time, which moves with every correction of the clock (WSL2,
laptops that slept, virtual machines). Elsewhere it is the start time that the kernel wrote down.
"""

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import psutil

PROC = Path("/proc")
# For records without ticks, as earlier releases wrote them: two readers agree on a start time only roughly.
CREATE_TIME_TOLERANCE_SECONDS = 2.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_MAX_TEXT = 128


class ProcessIdentity(NamedTuple):
    """One process among all that have had its PID; `create_time` is Unix time.

    `pid_namespace` is the one in which the PID counts: a container's PIDs mean other processes outside.
    """

    pid: int
    create_time: float
    start_ticks: int | None = None
    boot_id: str | None = None
    pid_namespace: str | None = None

    def as_record(self, prefix: str = "") -> dict[str, int | float | str]:
        """What is known of it, as JSON has it."""
        return {f"{prefix}{name}": value for name, value in self._asdict().items() if value is not None}

    @classmethod
    def from_record(cls, record: object, prefix: str = "") -> Self | None:
        """The identity in a record, which somebody else may have written; None without a valid one."""
        if not isinstance(record, Mapping):
            return None
        pid, created, ticks, *texts = (record.get(f"{prefix}{name}") for name in cls._fields)
        seconds = as_seconds(created)
        if type(pid) is not int or pid <= 0 or seconds is None:
            return None
        if ticks is not None and (type(ticks) is not int or ticks < 0):
            return None
        if not all(text is None or (isinstance(text, str) and len(text) < _MAX_TEXT) for text in texts):
            return None
        return cls(pid, seconds, ticks, *texts)


def identify(pid: int | None = None, *, proc: Path = PROC) -> ProcessIdentity:
    """The process that has this PID now; this process by default. Raises psutil.Error."""
    process = psutil.Process(pid)
    created = process.create_time()
    if sys.platform == "darwin":
        # psutil corrects the start time by how far the clock was set since this program began; the kernel does not.
        created = getattr(process, "_ident", (process.pid, created))[1]
    return ProcessIdentity(
        process.pid,
        created,
        _read_start_ticks(process.pid, proc),
        _read_line(proc / "sys" / "kernel" / "random" / "boot_id"),
        _read_namespace(proc),
    )


def is_same(recorded: ProcessIdentity, found: ProcessIdentity) -> bool:
    """Whether both mean one process."""
    if recorded.pid != found.pid:
        return False
    namespaces = {recorded.pid_namespace, found.pid_namespace} - {None}
    boots = {recorded.boot_id, found.boot_id} - {None}
    if len(namespaces) > 1 or len(boots) > 1:
        return False
    tolerance = CREATE_TIME_TOLERANCE_SECONDS
    if recorded.start_ticks is not None and found.start_ticks is not None:
        if recorded.start_ticks != found.start_ticks:
            return False
        if recorded.boot_id and found.boot_id:
            return True
        # Where the boot's id is not readable: after a reboot, a process of as many ticks starts later by at least what
        # they measure. A lesser difference is a correction of the clock.
        tolerance = max(tolerance, recorded.start_ticks / _TICKS_PER_SECOND)
    return abs(recorded.create_time - found.create_time) <= tolerance


def find_process(recorded: ProcessIdentity) -> psutil.Process | None:
    """The recorded process if it still runs; None when it is gone, a zombie, not visible, or its PID was reused."""
    try:
        # In this order: a PID that changes hands in between is seen by the last line.
        process = psutil.Process(recorded.pid)
        if not is_same(recorded, identify(recorded.pid)):
            return None
    except (psutil.Error, OverflowError):
        return None
    return process if is_running(process) else None


def is_running(process: psutil.Process) -> bool:
    """Whether it is still that process and not a zombie, which has exited and awaits its parent."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def is_hidden(pid: int, *, proc: Path = PROC) -> bool:
    """Whether there is a process of another user that the system does not let this one look at (hidepid)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return proc.is_dir() and _read_start_ticks(pid, proc) is None
    except (OSError, OverflowError):
        pass
    return False


def as_seconds(value: object) -> float | None:
    """A time in a record of somebody else; None for what is no number, or too large for one."""
    with contextlib.suppress(OverflowError):
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return None


def parse_start_ticks(stat: bytes) -> int:
    """Field 22 of /proc/PID/stat; the name before it may hold spaces and brackets. Raises ValueError."""
    fields = stat.rpartition(b")")[2].split()
    if len(fields) < 20:
        raise ValueError("no start time in stat")
    return int(fields[19])


def _read_start_ticks(pid: int, proc: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return parse_start_ticks((proc / str(pid) / "stat").read_bytes())
    return None


def _read_line(path: Path) -> str | None:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip() or None
    return None


def _read_namespace(proc: Path) -> str | None:
    with contextlib.suppress(OSError):
        return os.readlink(proc / "self" / "ns" / "pid")
    return None
