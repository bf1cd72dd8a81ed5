"""Starts the reader process, queries it, and restarts it after a failure."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

ANSWER_SECONDS = 90.0  # joining and one read, each at its longest
MAX_ANSWER_BYTES = 64 * 1024 * 1024
END_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 60.0


class ReadFailed(Exception):
    """The DHT could not be read; the text says why in one line."""


class Answers(NamedTuple):
    """`peers`: how many nodes of the DHT the reader knows; `answers`: one for each query, None for nothing found."""

    peers: int
    answers: list[Any]


class Reader:
    """The process that reads the DHT. `ask` belongs to one thread; `close` may come from another."""

    def __init__(self, config_path: Path) -> None:
        self._config_path = config_path
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._failures = 0
        self._not_before = 0.0
        self._closed = False
        self._lock = threading.Lock()

    def ask(self, queries: Sequence[Sequence[Any]], now: float) -> Answers:
        """Reads all `queries`; `now` is the monotonic clock, by which a failed process is restarted.

        Raises ReadFailed.
        """
        pipe = self._started(now)
        try:
            pipe.send_bytes(json.dumps(queries).encode())
            if not pipe.poll(ANSWER_SECONDS):
                raise ReadFailed(f"the reader did not answer within {ANSWER_SECONDS:.0f} s")
            answer = json.loads(pipe.recv_bytes(MAX_ANSWER_BYTES))
        except (OSError, EOFError, ValueError):
            self._replace_later(now)
            raise ReadFailed("the reader exited; restarting soon") from None
        except ReadFailed:
            self._replace_later(now)
            raise
        if "error" in answer:
            raise ReadFailed(answer["error"])
        self._failures = 0
        return Answers(answer["peers"], answer["answers"])

    def close(self) -> None:
        """Ends the reader, the DHT's process and p2pd."""
        with self._lock:
            self._closed = True
            self._end(END_SECONDS)

    def _started(self, now: float) -> Connection:
        with self._lock:
            if self._closed:
                raise ReadFailed("the reader is closed")
            if self._pipe is not None and self._process is not None and self._process.poll() is None:
                return self._pipe
            if self._process is not None:
                self._count_failure(now)
                self._end(0)
            if now < self._not_before:
                raise ReadFailed("the reader exited; restarting soon")
            self._pipe = self._start()
            return self._pipe

    def _start(self) -> Connection:
        pipe, theirs = multiprocessing.Pipe()
        command = [sys.executable, "-m", "exporter.leaderboard.dht"]
        command += ["--config", str(self._config_path), "--pipe", str(theirs.fileno())]
        try:
            self._process = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        except OSError as error:
            pipe.close()
            raise ReadFailed(f"cannot start the reader: {error.strerror}") from None
        finally:
            theirs.close()
        return pipe

    def _replace_later(self, now: float) -> None:
        with self._lock:
            self._count_failure(now)
            self._end(0)

    def _count_failure(self, now: float) -> None:
        self._failures += 1
        self._not_before = now + min(2.0 ** (self._failures - 1), LONGEST_DELAY_SECONDS)

    def _end(self, wait_seconds: float) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is None:
            return
        try:
            self._process.wait(wait_seconds)
        except subprocess.TimeoutExpired:
            # The group is the reader's own: with it end the DHT's process and p2pd. A reader that exited
            # has ended its group, and its PID may already be reused.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None
