"""The processes below one, asked for again and again: Linux tells them without a look at all processes."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from exporter.system.process_identity import is_running


class Descendants:
    """All that descend from a process, the nearest first."""

    def __init__(self, process: psutil.Process, *, proc: Path = Path("/proc")) -> None:
        self._process = process
        self._proc = str(proc)
        self._known: dict[int, psutil.Process] = {}

    def find(self) -> list[psutil.Process]:
        """Those that run now; none where the process itself is gone."""
        try:
            found = self._follow()
            missing = [one for pid, one in self._known.items() if pid not in found]
            # Linux may leave a child out while another one ends.
            if any(is_running(one) for one in missing):
                found = self._search()
        except (OSError, ValueError):
            # Not Linux, or one without CONFIG_PROC_CHILDREN.
            found = self._search()
        self._known = found
        return list(found.values())

    def _follow(self) -> dict[int, psutil.Process]:
        """Raises OSError or ValueError where the system does not tell."""
        found: dict[int, psutil.Process] = {}
        pids = list(self._list_children(self._process.pid))
        for pid in pids:
            if pid in found:
                continue
            known = self._known.get(pid)
            try:
                found[pid] = known if known is not None and known.is_running() else psutil.Process(pid)
                pids += self._list_children(pid)
            except (psutil.Error, OSError):
                found.pop(pid, None)
        return found

    def _list_children(self, pid: int) -> Iterator[int]:
        """Each thread has the children that it has started."""
        folder = f"{self._proc}/{pid}/task"
        for thread in os.listdir(folder):
            try:
                descriptor = os.open(f"{folder}/{thread}/children", os.O_RDONLY | os.O_CLOEXEC)
            except (FileNotFoundError, ProcessLookupError):
                if thread == str(pid):
                    raise
                continue
            try:
                with open(descriptor, "rb") as file:
                    yield from map(int, file.read().split())
            except ProcessLookupError:
                continue

    def _search(self) -> dict[int, psutil.Process]:
        try:
            return {one.pid: one for one in self._process.children(recursive=True)}
        except psutil.Error:
            return {}
