"""The databases that this process has open, by name: what SQLite's locks do not tell apart within one process.

SQLite finds a file's companions by their names: a connection that opens or closes them while the names move takes the
next file's for its own, and deletes or cuts them. So it does after the name was given to another file, as by a backup
that is put back. To cut an index that another connection has mapped ends the process.
"""

import contextlib
import errno
import os
import sqlite3
import threading
import weakref
from pathlib import Path
from urllib.parse import quote

# SQLite keeps a write-ahead log with an index, or a journal, beside the file.
COMPANIONS = ("-wal", "-shm", "-journal")
# Held by who opens, closes or renames. To close any descriptor of a file also ends the locks that this process has on
# it.
names_lock = threading.RLock()

_Identity = tuple[int, int]


class Replaced(Exception):
    """The name leads to another file than the one that this process has open by it."""


class Connection(sqlite3.Connection):
    """A connection that is known by its file's name until it is closed."""

    path: Path
    _file: _Identity | None = None
    _companions: dict[Path, _Identity | None]

    def know(self, path: Path, file: _Identity | None) -> None:
        """Tells which file it is."""
        self.path, self._file, self._companions = path, file, {}
        _connections.add(self)

    def know_companions(self) -> None:
        """Remembers what SQLite has opened beside the file: after the first statement that reads it."""
        parts = (self.path.with_name(self.path.name + suffix) for suffix in COMPANIONS)
        self._companions = {part: _identify(part) for part in parts}

    def has_other_file(self, path: Path, file: _Identity | None) -> bool:
        """Whether it has another file open by this name."""
        return self.path == path and self._file != file

    def list_left_behind(self) -> list[Path]:
        """Its log and index, where the name leads to another file, or to none any more: nobody else may take them."""
        try:
            if self._file is None or _identify(self.path) == self._file:
                return []
            return [part for part, file in self._companions.items() if file is not None and _identify(part) == file]
        except OSError:
            return []  # That it leads elsewhere is not known.

    def close(self) -> None:
        with names_lock:
            left = self.list_left_behind() if self in _connections else []
            super().close()
            _connections.discard(self)
            _delete(left)


_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


def open_connection(path: Path, mode: str, timeout: float, *, is_owner: bool) -> Connection:
    """A connection, within `names_lock`; its first statement belongs there too, and `know_companions` behind it.

    What other connections have left behind by this name is deleted for the owner; whoever else asks waits until the
    owner has noticed. Raises OSError, sqlite3.Error, and Replaced.
    """
    file = _identify(path)
    if file is None and not is_owner:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    db = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=timeout,
        check_same_thread=False,
        factory=Connection,
    )
    others = [one for one in _connections if one.has_other_file(path, file)]
    # What SQLite has opened now is that file, unless the name was given to another one meanwhile.
    if not is_owner and (others or _identify(path) != file):
        db.close()
        raise Replaced("it was replaced while it was in use")
    for one in others:
        _delete(one.list_left_behind())
    db.know(path, file)
    return db


def _identify(path: Path) -> _Identity | None:
    """Which file the name leads to; None for none. Raises OSError where that cannot be told."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _delete(parts: list[Path]) -> None:
    for part in parts:
        with contextlib.suppress(OSError):
            part.unlink()
