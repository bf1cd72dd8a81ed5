"""Ends a run on SIGTERM or SIGINT within ten seconds, whatever the training thread is doing.

Outside a step the request takes effect at once. A step gets a short grace period to finish and is then abandoned;
nothing is lost, because weights change only in the optimizer's update, which, like saving, is not interrupted.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE_SECONDS = 2.5
DEADLINE_SECONDS = 8.5
RETRY_SECONDS = 0.2


@contextlib.contextmanager
def delayed() -> Iterator[None]:
    """Blocks the stop signals until the end of the block, provided that no other thread receives them.

    Processes and threads started inside inherit the blocked signals.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class StopRequested(BaseException):
    """Raised in the main thread to abandon its work; no `except Exception` swallows it."""


class Stopper:
    """Holds whether a stop was requested, and when the main thread may be interrupted for it."""

    def __init__(self, *, grace_seconds: float = GRACE_SECONDS, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self.is_requested = False
        self._grace, self._deadline = grace_seconds, deadline_seconds
        self._in_step = False
        self._shields = 0
        self._is_disarmed = False
        for number in SIGNALS:
            signal.signal(number, self._request)
        signal.signal(signal.SIGALRM, self._interrupt)

    def enforce_deadline(self) -> None:
        """Starts the thread that exits the process if its main thread is stuck where no signal handler runs.

        Call it after the DHT has been forked.
        """
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._wakeup = writer
        threading.Thread(target=self._watch, args=(reader,), name="deadline", daemon=True).start()

    def begin_step(self) -> None:
        """From here a stop waits for the grace period before it interrupts."""
        self._in_step = True

    def end_step(self) -> None:
        """The step is complete; a stop interrupts at once again, unless the caller handles `is_requested`."""
        self._in_step = False

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Nothing inside is interrupted: an optimizer's update, a checkpoint being written."""
        self.hold()
        try:
            yield
        finally:
            self.release()

    def hold(self) -> None:
        """Begins what must not be interrupted."""
        self._shields += 1

    def release(self) -> None:
        """Ends what must not be interrupted."""
        self._shields -= 1

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.is_requested:
            return
        self.is_requested = True
        if self._in_step or self._shields:
            signal.setitimer(signal.ITIMER_REAL, self._grace, RETRY_SECONDS)
        else:
            raise StopRequested

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # The timer repeats, since a user's reward function may swallow even this.
        if not self._shields and not self._is_disarmed:
            raise StopRequested

    def disarm(self) -> None:
        """No further interruption: the main thread is exiting."""
        self._is_disarmed = self.is_requested = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _watch(self, reader: socket.socket) -> None:
        while True:
            received = reader.recv(64)
            if any(number in SIGNALS for number in received):
                break
        time.sleep(self._deadline)
        print(
            "the trainer did not stop in time and was ended; the last checkpoint is kept", file=sys.stderr, flush=True
        )
        os._exit(0)
