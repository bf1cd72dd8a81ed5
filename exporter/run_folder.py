"""The files of a peer's run folder that trainer and sidecar share, and how they are read and written."""

import contextlib
import json
import os
import stat
import time
from pathlib import Path
from typing import NamedTuple

import psutil

METRICS_FILE = "trainer.prom"
PROCESS_FILE = "process.json"

# Two clocks of one machine agree on a process's start only roughly: psutil derives it from the boot time.
CREATE_TIME_TOLERANCE_SECONDS = 2.0


class ProcessRecord(NamedTuple):
    """Which process the trainer is; the create time distinguishes it from a later process with the same PID.

    `started_at` is when it became the trainer, by the clock that stamps its metrics: a launcher waits first, and the
    create time may be a second off.
    """

    pid: int
    create_time: float
    started_at: float | None = None


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replaces `path` atomically: a reader sees the old content or the new, never a part. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # A leftover of a killed process with this PID may have another mode.
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Reads a plain file of at most `max_bytes`. Raises OSError, or ValueError for anything else.

    Opening does not block on a FIFO, and does not follow a link: another user may own what the name leads to.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path} is not a plain file")
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"{path} is larger than {max_bytes} bytes")
    return content


def write_process_record(run_dir: Path) -> None:
    """Records the calling process as the trainer of this run folder. Raises OSError."""
    record = {"pid": os.getpid(), "create_time": psutil.Process().create_time(), "started_at": time.time()}
    write_atomically(run_dir / PROCESS_FILE, json.dumps(record).encode())


def read_process_record(run_dir: Path) -> ProcessRecord | None:
    """The recorded trainer process; None without a valid record."""
    try:
        record = json.loads(read_bounded(run_dir / PROCESS_FILE, 4096))
        pid, create_time, started_at = record["pid"], record["create_time"], record.get("started_at")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if type(pid) is not int or pid <= 0 or not _is_number(create_time):
        return None
    return ProcessRecord(pid, float(create_time), float(started_at) if _is_number(started_at) else None)


def find_trainer(run_dir: Path) -> psutil.Process | None:
    """The running process that the run folder records as its trainer; None without a record or such a process."""
    record = read_process_record(run_dir)
    return find_process(record) if record else None


def find_process(record: ProcessRecord) -> psutil.Process | None:
    """The recorded process if it still runs; None when it is gone, a zombie, or its PID was reused."""
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.create_time) <= CREATE_TIME_TOLERANCE_SECONDS
    except (psutil.Error, OverflowError):
        return None
    return process if same and is_running(process) else None


def is_running(process: psutil.Process) -> bool:
    """Whether it is still that process and not a zombie, which has exited and awaits its parent."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _is_number(value: object) -> bool:
    return type(value) in (int, float)
