"""The trainer of a run folder: its process, checked against its record, and its stacks, dumped without ending it."""

import os
import signal
import stat
import sys
import time
from pathlib import Path

import psutil

from alerts.scraping.page import parse
from exporter.run_folder import METRICS_FILE, find_trainer, read_bounded

SKEW_SECONDS = 2.0
POLL_SECONDS = 0.005
QUIET_SECONDS = 0.03


def find_own_trainer(run_dir: Path) -> psutil.Process | None:
    """The trainer of a run folder if it runs as this user: the only one that may be signalled."""
    try:
        process = find_trainer(run_dir)
        return process if process and process.uids().real == os.getuid() else None
    except psutil.Error:
        return None


def read_tail(path: Path, max_bytes: int, *, begin: int = 0) -> str:
    """The end of a regular file, from the offset `begin` at the earliest. Raises OSError.

    Opening follows no symbolic link and does not block on a FIFO.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        file.seek(max(begin, status.st_size - max_bytes))
        return file.read(max_bytes).decode(errors="replace")


def ask_for_stacks(process: psutil.Process, stacks: Path, *, seconds: float, max_bytes: int = 65536) -> str:
    """What the trainer wrote to its stacks file on SIGUSR1; empty if it does not handle the signal, or not in time."""
    if not _handles_signal(process, stacks.parent):
        return ""
    try:
        begin = stacks.stat().st_size
        process.send_signal(signal.SIGUSR1)  # psutil checks again that it is still that process.
    except (OSError, psutil.Error):
        return ""
    _wait_for_growth(stacks, begin, seconds)
    try:
        return read_tail(stacks, max_bytes, begin=begin)
    except OSError:
        return ""


def _wait_for_growth(path: Path, begin: int, seconds: float) -> None:
    """Returns once the file has grown and then stayed the same for `QUIET_SECONDS`, or after `seconds`."""
    deadline = time.monotonic() + seconds
    size, changed_at = begin, time.monotonic()
    while (now := time.monotonic()) < deadline:
        try:
            found = path.stat().st_size
        except OSError:
            return
        if found != size:
            size, changed_at = found, now
        elif size > begin and now - changed_at >= QUIET_SECONDS:
            return
        time.sleep(POLL_SECONDS)


def _handles_signal(process: psutil.Process, run_dir: Path) -> bool:
    """Whether SIGUSR1 would not end it. Only Linux shows the handlers; elsewhere the trainer itself must say so."""
    try:
        if sys.platform != "linux":
            return writes_stacks(read_bounded(run_dir / METRICS_FILE, 1 << 20).decode(), process.create_time())
        return catches(Path(f"/proc/{process.pid}/status").read_text(), signal.SIGUSR1)
    except (OSError, ValueError, psutil.Error):
        return False


def writes_stacks(metrics: str, started_at: float) -> bool:
    """Whether a process that started then says in its trainer.prom that it handles the signal. Raises ValueError."""
    page = parse(metrics)
    written_at = page.value("trainer_phase_start_timestamp_seconds") or 0.0
    return page.value("trainer_stacks_on_signal") == 1 and written_at >= started_at - SKEW_SECONDS


def catches(status: str, number: int) -> bool:
    """Whether a process with this /proc/PID/status has a handler for the signal. Raises ValueError."""
    mask = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), "0")
    return bool(int(mask, 16) >> (number - 1) & 1)
