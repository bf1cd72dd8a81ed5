"""The last lines of a fleet's logs, and new lines as they come."""

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

from fleet.console.view import printable

_POLL_SECONDS = 0.5
_READ_BYTES = 1 << 20


class Reader:
    """The lines of one log; after rotation or truncation it is read from its start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inode = 0
        self._rest = b""

    def last(self, count: int) -> list[str]:
        """The last complete lines; `new` continues from here."""
        size = self._size()
        self._offset = max(0, size - _READ_BYTES)
        lines = self.new()
        return lines[-count:] if count else []

    def new(self) -> list[str]:
        """The complete lines since the last call."""
        if self._size() < self._offset:
            self._offset, self._rest = 0, b""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_READ_BYTES)
        except OSError:
            return []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [printable(line.decode(errors="replace")) for line in lines]

    def _size(self) -> int:
        """Zero if there is no log, or it was rotated and must be read from its start."""
        try:
            facts = self._path.stat()
        except OSError:
            return 0
        is_same, self._inode = self._inode in (0, facts.st_ino), facts.st_ino
        return facts.st_size if is_same else 0


def print_logs(logs: Mapping[str, Path], count: int, follow: bool) -> None:
    """Prints each line after its program's title; with `follow` until Ctrl-C."""
    readers = {title: Reader(path) for title, path in logs.items()}
    width = max(map(len, readers), default=0)
    with contextlib.suppress(KeyboardInterrupt):
        for title, reader in readers.items():
            _print(title, width, reader.last(count))
        while follow:
            time.sleep(_POLL_SECONDS)
            for title, reader in readers.items():
                _print(title, width, reader.new())


def _print(title: str, width: int, lines: list[str]) -> None:
    for line in lines:
        print(f"{title:<{width}} | {line}", flush=True)
