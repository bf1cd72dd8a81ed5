"""One probe for all sidecars whose run folders lie side by side: one of them asks, and all read the answer."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from exporter.accelerators.presence import Kind
from exporter.accelerators.probe import READY
from exporter.accelerators.reading import MAX_BYTES, TIMED_OUT, Reading, complete, dump, load, no_answer
from exporter.files.file_lock import LockTakenError, NoLocksError, locked
from exporter.run_folder import read_bounded, write_atomically

log = logging.getLogger(__name__)

RESULT_FILE = "accelerators.json"
LOCK_FILE = "accelerators.lock"
EVERY_SECONDS = 15.0
# Without persistence mode the driver takes seconds for each card that nobody uses.
LIMIT_SECONDS = 30
# What a missing library costs to be looked for again.
UNAVAILABLE_SECONDS = 600.0
# A process that has not begun by then says how busy the machine is, and nothing of the card.
START_SECONDS = 120.0
# Readers take nothing that is older, and nothing from so far in the future.
STALE_SECONDS = EVERY_SECONDS + LIMIT_SECONDS + 75.0
_AHEAD_SECONDS = 60.0


def probe_command(kind: Kind, *, limit_seconds: int = LIMIT_SECONDS, python: str = sys.executable) -> list[str]:
    """The probe's own process; -P: nothing in its working directory takes the library's place."""
    return [python, "-P", "-m", "exporter.accelerators.probe", kind, str(limit_seconds)]


def choose_folder(run_dir: Path) -> Path:
    """Where the answer is shared: beside the run folders, unless somebody else could write there."""
    try:
        status = run_dir.resolve().parent.stat()
    except OSError:
        return run_dir
    is_private = status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return run_dir.resolve().parent if is_private else run_dir


class SharedProbe:
    """Asked once in each collection; never waits."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str],
        *,
        limit_seconds: float = LIMIT_SECONDS,
        every_seconds: float = EVERY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._command = command
        self._limit = limit_seconds
        self._every = every_seconds
        self._clock = clock
        self._running: _Run | None = None
        self._reading: Reading | None = None
        self._version: tuple[int, int] | None = None
        self._unavailable = ""

    def read(self, now: float) -> Reading | None:
        """The last answer at the Unix time `now`; None where there is none of late. Raises OSError."""
        if self._running is not None:
            self._follow(self._running, now)
        reading = self._load()
        if self._running is None and self._is_due(reading, now):
            self._start(now)
        longest = max(STALE_SECONDS, 2 * self._pause(reading)) if reading else 0.0
        if reading is None or not -_AHEAD_SECONDS <= now - reading.taken_at <= longest:
            return None
        self._report(reading)
        return reading

    def _follow(self, run: "_Run", now: float) -> None:
        """Takes the answer of a probe that has ended; gives one up that does not."""
        status = run.child.poll()
        has_begun = run.has_begun()
        age = self._clock() - run.started_at
        if status is None and age < (self._limit if has_begun else START_SECONDS):
            return
        if status is None:
            run.child.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = run.child.wait(0.05)
        before, boot = self._load(), read_boot()
        if status == 0:
            self._write(complete(run.result(now), before, boot=boot, now=now))
        elif status in (None, -signal.SIGALRM, -signal.SIGKILL) and has_begun:
            # In the kernel it may not even end: then this sidecar keeps the lock, and nobody starts another one.
            if status is not None or before is None or now - before.taken_at >= self._every:
                self._write(no_answer(now, before, boot=boot))
        elif status is not None:
            failed = Reading(now, unavailable=f"the probe ended with status {status}")
            self._write(complete(failed, before, boot=boot, now=now))
        if status is not None:
            run.close()
            self._running = None

    def _start(self, now: float) -> None:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self._folder / LOCK_FILE))
            except LockTakenError:
                return
            except NoLocksError:
                # Each for itself, then.
                pass
            if not self._is_due(self._load(), now):
                return
            output = stack.enter_context(tempfile.TemporaryFile())
            child = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL, cwd=self._folder
            )
            self._running = _Run(child, output, self._clock(), stack.pop_all())

    def _is_due(self, reading: Reading | None, now: float) -> bool:
        return reading is None or not -_AHEAD_SECONDS <= now - reading.taken_at < self._pause(reading)

    def _pause(self, reading: Reading) -> float:
        return UNAVAILABLE_SECONDS if reading.unavailable else self._every

    def _load(self) -> Reading | None:
        """The file's content, read again only after it has changed."""
        path = self._folder / RESULT_FILE
        try:
            status = path.stat()
            version = (status.st_ino, status.st_mtime_ns)
            if version != self._version:
                self._reading, self._version = load(read_bounded(path, MAX_BYTES)), version
        except FileNotFoundError:
            self._reading, self._version = None, None
        except ValueError:
            # Damaged: the next probe replaces it.
            self._reading = None
        return self._reading

    def _write(self, reading: Reading) -> None:
        write_atomically(self._folder / RESULT_FILE, dump(reading), mode=0o600)

    def _report(self, reading: Reading) -> None:
        if reading.unavailable and reading.unavailable != self._unavailable:
            log.warning("the accelerators cannot be read: %s", reading.unavailable)
        self._unavailable = reading.unavailable


class _Run:
    """A probe that runs; `resources` are its output and the lock."""

    def __init__(
        self, child: subprocess.Popen[bytes], output: IO[bytes], started_at: float, resources: contextlib.ExitStack
    ) -> None:
        self.child = child
        self.started_at = started_at
        self._output = output
        self._resources = resources

    def has_begun(self) -> bool:
        return os.fstat(self._output.fileno()).st_size >= len(READY)

    def result(self, now: float) -> Reading:
        self._output.seek(0)
        content = self._output.read(MAX_BYTES + 1)
        try:
            if len(content) > MAX_BYTES:
                raise ValueError("too long an answer")
            return load(content)
        except ValueError as error:
            return Reading(now, unavailable=f"the probe's answer is no reading: {error}")

    def close(self) -> None:
        self._resources.close()


def is_timed_out(reading: Reading) -> bool:
    """Whether the library did not answer."""
    return any(one.problem == TIMED_OUT for one in reading.devices)


def read_boot(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """Which start of the machine this is; empty where nothing tells."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
