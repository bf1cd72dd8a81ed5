"""Notices that a configuration file was changed while its fleet runs."""

from pathlib import Path

from fleet.configuration.load import Loaded, load_file


class ChangedFile:
    """One file, by its time and size; looking costs a system call."""

    def __init__(self, path: Path, state_dir: Path | None) -> None:
        self._path, self._state_dir = path, state_dir
        self._seen = self._look()

    def read(self) -> Loaded | None:
        """The configuration if the file has changed since the last call; None otherwise, and while it is gone."""
        seen = self._look()
        if seen is None or seen == self._seen:
            return None
        self._seen = seen
        try:
            return load_file(self._path, self._state_dir)
        except OSError:
            return None

    def _look(self) -> tuple[int, int, int] | None:
        try:
            facts = self._path.stat()
        except OSError:
            return None
        return facts.st_mtime_ns, facts.st_size, facts.st_ino
