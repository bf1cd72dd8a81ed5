"""Follows a text file by lines, whatever happens to it: it grows, is truncated, rotated, replaced, or begins elsewhere.

A file is opened again in each call: NFS then shows its attributes as they are, and no stale handle stays. That it is
still the same text is seen from the bytes before the place reached, as inode numbers are used again, and change on NFS.
"""

import glob
import itertools
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from exporter.progress.markers import Marker
from exporter.progress.record import ReadError

# Of a file met for the first time, or one that grew by more than a call reads, only the end is read.
TAIL_BYTES = 1 << 19
READ_BYTES = 1 << 23
CHUNK_BYTES = 1 << 16
# A longer line holds no record.
LINE_BYTES = 1 << 18
# The bytes before the place reached, by which the text is known again.
MEMORY_BYTES = 256

MAX_MATCHES = 1000
SEARCH_SECONDS = 10.0
# Two runs that write at the same time must not make the follower go to and fro.
SILENT_SECONDS = 60.0

_END = re.compile(rb"\r\n|[\r\n]")
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Follower:
    """The new lines of one file, or of the newest file that a pattern with `*` matches."""

    def __init__(
        self, path: Path, *, is_pattern: bool = False, tail_bytes: int = TAIL_BYTES, read_bytes: int = READ_BYTES
    ) -> None:
        """Where there is more to read than `read_bytes`, or `tail_bytes` at first, `tail_bytes` of it are."""
        self._tail_bytes, self._read_bytes = tail_bytes, read_bytes
        self._descriptor: int | None = None
        self._search = _Search(path) if is_pattern else None
        self._path: Path | None = None if self._search else path
        self._pattern = path
        self._offset = 0
        self._head = b""
        self._memory = b""
        self._partial = b""
        self._is_inside_line = False
        self._is_shorter = False
        # Whether the last call ended before it had given all lines: `_partial` then begins with the rest of them.
        self._has_lines_left = False
        self.modified: float | None = None
        # What a line must hold one of to be given; may be changed between two lines. None: every line is.
        self.markers: Sequence[Marker] | None = None

    @property
    def path(self) -> Path:
        """The file that is followed; the pattern while it matches none."""
        return self._path or self._pattern

    @property
    def partial(self) -> str:
        """The line that has begun and not ended."""
        return "" if self._is_inside_line or self._has_lines_left else _decode(self._partial)

    def read(self, now: float) -> Iterator[str]:
        """The lines completed since the last call, each with its end: a line feed, or a carriage return alone.

        Who takes no more of them gets the rest with the next call. Bytes that are not UTF-8 are replaced, NUL left out.
        Raises ReadError, perhaps after some lines.
        """
        if self._search:
            self._path = self._search.find_newest(now, self._path, self.modified)
        if self._path is None:
            raise ReadError(f"{self._pattern}: matches no file yet")
        previous, self._descriptor = self._descriptor, None
        try:
            self._descriptor = _open(self._path)
            if previous is not None and self._is_other(previous, self._descriptor):
                yield from self._finish(previous)
                self._forget()
            yield from self._read(self._descriptor)
        except FileNotFoundError:
            yield from self._finish(previous)
            raise ReadError(f"{self._path}: does not exist") from None
        except OSError as error:
            remedy = "; let the user who runs Peerwatch read it" if isinstance(error, PermissionError) else ""
            raise ReadError(f"{self._path}: {error.strerror or error}{remedy}") from None
        finally:
            if previous is not None:
                os.close(previous)

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _is_other(self, previous: int, current: int) -> bool:
        """Whether the path leads to another text than before."""
        try:
            if os.path.samestat(os.fstat(previous), os.fstat(current)):
                return False
        except OSError:  # A handle that NFS calls stale: the text tells.
            pass
        return not self._continues(current)

    def _continues(self, descriptor: int) -> bool:
        """Whether the file holds what was read last, where it was read."""
        place = self._offset - len(self._memory)
        return bool(self._memory) and os.pread(descriptor, len(self._memory), place) == self._memory

    def _finish(self, previous: int | None) -> Iterator[str]:
        """What a file that was moved away or removed still got."""
        try:
            if previous is not None and self._continues(previous):
                yield from self._read(previous)
        except OSError:  # A stale handle: the rest of that file is lost.
            pass

    def _forget(self) -> None:
        self._offset, self._memory, self._partial = 0, b"", b""
        self._is_inside_line = self._is_shorter = self._has_lines_left = False

    def _read(self, descriptor: int) -> Iterator[str]:
        status = os.fstat(descriptor)
        if self._was_cut(descriptor, status.st_size):
            self._forget()
        elif self._is_shorter:
            return
        if not self._offset:
            self._head = os.pread(descriptor, MEMORY_BYTES, 0)
        self.modified = status.st_mtime
        if status.st_size - self._offset > (self._read_bytes if self._offset else self._tail_bytes):
            self._skip(status.st_size - self._tail_bytes)
        yield from self._read_until(descriptor, status.st_size)

    def _was_cut(self, descriptor: int, size: int) -> bool:
        """Whether the text before the place reached is gone. NFS may show an old size: that is looked at twice."""
        if size >= self._offset:
            self._is_shorter = False
            return self._offset > 0 and not self._continues(descriptor)
        if self._is_shorter or not size or os.pread(descriptor, len(self._head), 0) != self._head:
            return True
        self._is_shorter = True
        return False

    def _skip(self, offset: int) -> None:
        # What comes first is the rest of a line.
        self._offset, self._memory, self._partial, self._is_inside_line = offset, b"", b"", True
        self._has_lines_left = False

    def _read_until(self, descriptor: int, end: int) -> Iterator[str]:
        if self._has_lines_left:
            yield from self._split(b"")
        while self._offset < end:
            chunk = os.pread(descriptor, min(CHUNK_BYTES, end - self._offset), self._offset)
            if not chunk:
                return
            self._offset += len(chunk)
            self._memory = (self._memory + chunk)[-MEMORY_BYTES:]
            yield from self._split(chunk)

    def _split(self, chunk: bytes) -> Iterator[str]:
        text = self._partial + chunk.replace(b"\0", b"")
        begun = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
        place = 0
        try:
            for behind, line in self._select(text[:begun]):
                place = behind
                if len(line) <= LINE_BYTES:
                    yield _decode(line)
        except GeneratorExit:
            self._partial, self._has_lines_left, self._is_inside_line = text[place:], True, False
            raise
        self._partial, self._has_lines_left = text[begun:], False
        if begun:
            self._is_inside_line = False
        if len(self._partial) > LINE_BYTES:
            self._partial, self._is_inside_line = b"", True

    def _select(self, text: bytes) -> Iterator[tuple[int, bytes]]:
        """The lines that hold a marker, each with the place behind it.

        Those without one are not even divided: most of a log is of no interest.
        """
        place = _end_line(text, 0) if self._is_inside_line else 0
        found: dict[Marker, int] = {}
        while place < len(text):
            if self.markers is not None:
                for marker in self.markers:
                    if found.get(marker, -1) < place:
                        position = marker.find(text, place)
                        found[marker] = len(text) if position < 0 else position
                nearest = min((found[marker] for marker in self.markers), default=len(text))
                if nearest == len(text):
                    return
                place = max(place, text.rfind(b"\n", place, nearest) + 1, text.rfind(b"\r", place, nearest) + 1)
            end = _end_line(text, place)
            yield end, text[place:end]
            place = end


def _end_line(text: bytes, place: int) -> int:
    """Where the line ends that begins here."""
    found = _END.search(text, place)
    return found.end() if found else len(text)


def _open(path: Path) -> int:
    """A descriptor of a plain file; raises OSError, or ReadError for anything else."""
    # Looked at first, as opening alone may move a device.
    _check_kind(path, os.stat(path).st_mode)
    descriptor = os.open(path, _FLAGS)
    try:
        _check_kind(path, os.fstat(descriptor).st_mode)
    except ReadError:
        os.close(descriptor)
        raise
    return descriptor


def _check_kind(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ReadError(f"{path}: is not a plain file")


def _decode(line: bytes) -> str:
    return line.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n")


class _Search:
    """The newest file that a pattern matches."""

    def __init__(self, pattern: Path) -> None:
        self._pattern = str(pattern)
        self._known: frozenset[str] | None = None
        self._searched_at = float("-inf")

    def find_newest(self, now: float, current: Path | None, modified: float | None) -> Path | None:
        """The file to follow: a new one, or the newest once the current one is silent or gone."""
        if current is not None and 0 <= now - self._searched_at < SEARCH_SECONDS:
            return current
        self._searched_at = now
        found = self._list()
        known, self._known = self._known, frozenset(found)
        if current is None or str(current) not in found or now - (modified or 0.0) > SILENT_SECONDS:
            candidates = found
        else:
            candidates = {name: at for name, at in found.items() if known is not None and name not in known}
        newest = max(candidates, key=lambda name: (candidates[name], name), default=None)
        return current if newest is None else Path(newest)

    def _list(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for name in itertools.islice(glob.iglob(self._pattern), MAX_MATCHES):
            try:
                status = os.stat(name)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                found[name] = status.st_mtime
        return found
