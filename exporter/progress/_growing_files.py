"""Finds the files that a run writes below a folder, and reads what each has grown by; for formats without lines."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from exporter.progress.record import ReadError

# A trainer's output folder holds few folders besides its checkpoints, which hold no logs.
MAX_DEPTH = 5
MAX_ENTRIES = 4096
_SKIPPED = ("checkpoint-", "global_step_", ".", "__pycache__", "node_modules", "site-packages")
SEARCH_SECONDS = 15.0
# The bytes before the place reached, by which a file is known again.
MEMORY_BYTES = 256


class FileFinder:
    """The files whose names fit, below a folder or at a path; searched for again now and then."""

    def __init__(self, path: Path, fits: Callable[[str], bool], what: str) -> None:
        self._path = path
        self._fits = fits
        self._what = what
        self._found: tuple[Path, ...] = ()
        self._searched_at: float | None = None

    def find(self, now: float) -> dict[Path, float]:
        """Every file that fits, and when it was written last (Unix time). Raises ReadError where there is none."""
        is_old = self._searched_at is None or not 0 <= now - self._searched_at < SEARCH_SECONDS
        if is_old or not self._found:
            self._found = tuple(self._search())
            self._searched_at = now
        written = {path: changed for path in self._found if (changed := _changed_at(path)) is not None}
        if not written:
            self._searched_at = None
            raise ReadError(f"{self._path}: {self._why_none()}")
        return written

    def _search(self) -> Iterator[Path]:
        if self._path.is_file():
            yield self._path
            return
        yield from walk_files(self._path, self._fits)

    def _why_none(self) -> str:
        if not self._path.exists():
            return "no such file or folder"
        return "cannot be read" if not os.access(self._path, os.R_OK) else f"no {self._what} in it yet"


def walk_files(top: Path, fits: Callable[[str], bool]) -> Iterator[Path]:
    """Files below a folder whose names fit, breadth first, within bounds; links to folders are not followed."""
    level, seen = [top], 0
    for _ in range(MAX_DEPTH + 1):
        deeper: list[Path] = []
        for folder in level:
            try:
                entries = os.scandir(folder)
            except OSError:
                continue
            with entries:
                for entry in entries:
                    seen += 1
                    if seen > MAX_ENTRIES:
                        return
                    if _is_folder(entry):
                        if not entry.name.startswith(_SKIPPED):
                            deeper.append(Path(entry.path))
                    elif fits(entry.name):
                        yield Path(entry.path)
        level = deeper


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _changed_at(path: Path) -> float | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime if stat.S_ISREG(status.st_mode) else None


class GrowingFile:
    """A file that grows, and may become another one.

    It is known again by the bytes before the place reached: a mirrored file is another one each time it was copied, and
    an inode number is used again at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._place = 0
        self._memory = b""
        self.size = 0
        self.is_other = True

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """One and the same file within `with`: its `size`, and whether it `is_other` than the one read before.

        Raises ReadError. Opening does not block on a FIFO.
        """
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                status = os.fstat(self._descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise ReadError(f"{self._path}: not a plain file")
                self.size = status.st_size
                length = len(self._memory)
                self.is_other = not length or self.read(self._place - length, length) != self._memory
                yield self
            finally:
                os.close(self._descriptor)
        except OSError as error:
            raise ReadError(f"{self._path}: {error.strerror}") from error

    def read(self, place: int, count: int) -> bytes:
        """At most `count` bytes from `place`."""
        return os.pread(self._descriptor, count, place)

    def reach(self, place: int) -> None:
        """Tells up to where the file was read."""
        begin = max(0, place - MEMORY_BYTES)
        self._place, self._memory = place, self.read(begin, place - begin)
