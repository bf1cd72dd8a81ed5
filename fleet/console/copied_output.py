"""A command's output: it goes to a file, and is shown from there as it comes.

Not through a pipe: a command must not depend on who watches it.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from fleet.console.view import printable

_CHUNK = 1 << 16
_POLL_SECONDS = 0.1
# A line that never ends is shown in pieces.
_MAX_LINE = 4096


class CopiedOutput:
    """A context: the command writes to `descriptor`. Leaving it shows what is left."""

    def __init__(self, log: Path, show: Callable[[str], None] | None) -> None:
        """`show` takes one line at a time; without it bytes go to the standard output unchanged. Raises OSError."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self.descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._source = log.open("rb", buffering=0)
        self._show = show
        self._rest = b""
        # Whether what was passed on unchanged ends within a line, as a progress bar does.
        self.is_within_line = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._copy, name="output", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._source.close()
        os.close(self.descriptor)

    def _copy(self) -> None:
        while True:
            is_last = self._ended.is_set()
            while chunk := self._source.read(_CHUNK):
                self._pass_on(chunk)
            if is_last:
                return
            self._ended.wait(_POLL_SECONDS)

    def _pass_on(self, chunk: bytes) -> None:
        if self._show is None:
            with contextlib.suppress(OSError):  # Whoever read it is gone; the run goes on.
                os.write(1, chunk)
            self.is_within_line = not chunk.endswith(b"\n")
            return
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[-_MAX_LINE:]
        for line in lines:
            # A progress bar draws one line again and again.
            self._show(printable(line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")))
