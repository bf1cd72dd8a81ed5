"""The machine's own figures, by one sidecar of the machine: the one that holds the lock."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from exporter.collectors import CollectError
from exporter.config import SidecarConfig
from exporter.files.file_lock import LockTakenError, NoLocksError, locked
from exporter.metrics import Sample
from exporter.system.host import read_host

LOCK_FILE = "host.lock"


class Collector:
    """Serves the machine's figures as long as no other sidecar does; when that one ends, the next takes over."""

    def __init__(self, lock: Path, disks: tuple[Path, ...]) -> None:
        self._lock = lock
        self._disks = disks
        self._held = contextlib.ExitStack()
        self._is_held = False

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self | None:
        if config.machine is None or config.machine_file is None:
            return None
        return cls(config.machine_file.with_name(LOCK_FILE), config.machine.disks)

    def collect(self, now: float) -> Sequence[Sample]:
        """Raises CollectError where no file can be locked."""
        if not self._is_held:
            try:
                self._held.enter_context(locked(self._lock))
            except LockTakenError:
                return []
            except NoLocksError as error:
                raise CollectError(str(error)) from None
            self._is_held = True
        return list(read_host(self._disks))
