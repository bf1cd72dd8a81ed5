"""The files of a peer's run folder that trainer and sidecar share, and how they are read and written."""

import contextlib
import json
import os
import stat
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import psutil

from exporter.system.process_identity import ProcessIdentity, as_seconds, find_process, identify, is_same

METRICS_FILE = "trainer.prom"
PROCESS_FILE = "process.json"
ENDING_FILE = "ended.json"
RESTART_REQUEST_FILE = "restart.json"


class ProcessRecord(NamedTuple):
    """Which process the trainer is.

    `started_at` is when it became the trainer, by the clock that stamps its metrics: a launcher waits first, and the
    create time may be a second off.
    """

    identity: ProcessIdentity
    started_at: float | None = None


class Ending(NamedTuple):
    """How a trainer's process ended: its exit code, as a shell gives it (128 + N for signal N), and the Unix time."""

    identity: ProcessIdentity
    exit_code: int
    at: float


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replaces `path` atomically: a reader sees the old content or the new, never a part. Raises OSError."""
    # A PID would not do: threads have it in common, and in two containers it is often the same.
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
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


def write_process_record(run_dir: Path, process: ProcessIdentity | None = None) -> None:
    """Records a process, by default the calling one, as the trainer of this run folder. Raises OSError.

    Another process has been the trainer since it was created.
    """
    started_at = time.time() if process is None else process.create_time
    record = (process or identify()).as_record() | {"started_at": started_at}
    write_atomically(run_dir / PROCESS_FILE, json.dumps(record).encode())


def read_process_record(run_dir: Path) -> ProcessRecord | None:
    """The recorded trainer process; None without a valid record."""
    path = f"{run_dir}/{PROCESS_FILE}"
    try:
        status = os.lstat(path)
        # Asked for many times in a collection, and written once in the life of a trainer, always as another file.
        return _parse_process_record(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    except OSError:
        return None


@lru_cache(maxsize=64)
def _parse_process_record(path: str, *_file: int) -> ProcessRecord | None:
    """Raises OSError, which is not kept."""
    try:
        record = json.loads(read_bounded(Path(path), 4096))
    except (ValueError, RecursionError):
        return None
    identity = ProcessIdentity.from_record(record)
    if identity is None:
        return None
    return ProcessRecord(identity, as_seconds(record.get("started_at")))


def write_ending(run_dir: Path, ending: Ending) -> None:
    """Records how the trainer's process ended. Raises OSError."""
    record = ending.identity.as_record() | {"exit_code": ending.exit_code, "at": ending.at}
    write_atomically(run_dir / ENDING_FILE, json.dumps(record).encode())


def read_ending(run_dir: Path) -> Ending | None:
    """How the last process ended whose end was recorded; None without a valid record."""
    try:
        record = json.loads(read_bounded(run_dir / ENDING_FILE, 4096))
    except (OSError, ValueError, RecursionError):
        return None
    identity = ProcessIdentity.from_record(record)
    exit_code, at = (record.get("exit_code"), as_seconds(record.get("at"))) if identity else (None, None)
    if identity is None or type(exit_code) is not int or not 0 <= exit_code < 256 or at is None:
        return None
    return Ending(identity, exit_code, at)


def write_restart_request(run_dir: Path, process: ProcessIdentity) -> None:
    """Records that this process is about to be ended, so that it is started again. Raises OSError."""
    write_atomically(run_dir / RESTART_REQUEST_FILE, json.dumps(process.as_record()).encode())


def is_restart_requested(run_dir: Path) -> bool:
    """Whether the recorded trainer process was ended so that it is started again."""
    record = read_process_record(run_dir)
    try:
        requested = ProcessIdentity.from_record(json.loads(read_bounded(run_dir / RESTART_REQUEST_FILE, 4096)))
    except (OSError, ValueError, RecursionError):
        return False
    return record is not None and requested is not None and is_same(requested, record.identity)


def find_trainer(run_dir: Path) -> psutil.Process | None:
    """The running process that the run folder records as its trainer; None without a record or such a process."""
    record = read_process_record(run_dir)
    return find_process(record.identity) if record else None
