"""Reads the facts of the processes that run here: psutil, and on Linux /proc for what psutil does not tell."""

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from exporter.attached_process import parse_unit
from exporter.progress._growing_files import walk_files
from fleet.attach.command_line import read_command
from fleet.attach.facts import VARIABLES, ProcessFacts
from fleet.processes.owner import OWNER_VARIABLE

MAX_FILES = 4096
_MAX_MAPS_BYTES = 8 << 20
_MAX_TEXT_BYTES = 1 << 18
_LOGS = re.compile(r"\.(?:jsonl|wandb|log|out|txt|db)$|\.tfevents\.|/nohup\.out$")
_METRICS = re.compile(r"\.(?:jsonl|wandb|db|db-wal)$|\.tfevents\.")
_TORCH = re.compile(rb"/libtorch(?:_cpu|_python)?\.(?:so|dylib)")


def read_processes(*, proc: Path = Path("/proc")) -> list[ProcessFacts]:
    """All processes, each as far as it may be read; nothing of this process itself."""
    return [facts for process in psutil.process_iter() if (facts := _read(process, proc)) is not None]


def read_text(path: Path) -> str:
    """The begin of a text that a trainer was started with; empty where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            return file.read(_MAX_TEXT_BYTES).decode(errors="replace")
    except (OSError, ValueError):
        return ""


def list_written(folder: Path, since: float) -> list[Path]:
    """Files of trackers and metrics below a folder that were written after this Unix time."""
    return [path for path in walk_files(folder, lambda name: _METRICS.search(name) is not None) if _is_new(path, since)]


def _is_new(path: Path, since: float) -> bool:
    try:
        return path.stat().st_mtime >= since
    except OSError:
        return False


def _read(process: psutil.Process, proc: Path) -> ProcessFacts | None:
    if process.pid == os.getpid():
        return None
    try:
        with process.oneshot():
            command, parent = tuple(process.cmdline()), process.ppid()
            user, created_at = process.username(), process.create_time()
    except (psutil.Error, OSError, KeyError):
        return None
    if not command:
        return None
    facts = ProcessFacts(process.pid, parent, user, command, created_at)
    try:
        folder = Path(process.cwd())
    except (psutil.Error, OSError, ValueError):
        return facts
    environment = _read_environment(process)
    is_python = read_command(command).is_python
    streams, files = _read_files(process, proc / str(process.pid))
    return ProcessFacts(
        process.pid,
        parent,
        user,
        command,
        created_at,
        folder=folder,
        streams=streams,
        files=files,
        environment={name: environment[name] for name in VARIABLES if name in environment},
        unit=_read_unit(proc / str(process.pid) / "cgroup"),
        maps_torch=is_python and _maps_torch(proc / str(process.pid) / "maps"),
        is_of_fleet=OWNER_VARIABLE in environment,
    )


def _read_environment(process: psutil.Process) -> Mapping[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError, ValueError):
        return {}


def _read_files(process: psutil.Process, folder: Path) -> tuple[Mapping[int, str], tuple[Path, ...]]:
    """Where its standard descriptors lead, and the open files that may hold progress."""
    if sys.platform != "linux":
        try:
            opened = {file.fd: file.path for file in process.open_files()}
        except (psutil.Error, OSError):
            opened = {}
        return split_files(opened)
    opened = {}
    try:
        for name in os.listdir(folder / "fd")[:MAX_FILES]:
            try:
                opened[int(name)] = os.readlink(folder / "fd" / name)
            except (OSError, ValueError):
                continue
    except OSError:
        pass
    return split_files(opened)


def split_files(opened: Mapping[int, str]) -> tuple[Mapping[int, str], tuple[Path, ...]]:
    """Of open descriptors and where they lead: the three standard ones, and paths whose names tell of progress."""
    streams = {number: opened[number] for number in (0, 1, 2) if number in opened}
    paths: Iterable[str] = (path for _, path in sorted(opened.items()) if path.startswith("/") and _LOGS.search(path))
    return streams, tuple(dict.fromkeys(Path(path) for path in paths))


def _read_unit(path: Path) -> str | None:
    try:
        return parse_unit(path.read_text(errors="replace"))
    except OSError:
        return None


def _maps_torch(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return has_torch(file.read(_MAX_MAPS_BYTES))
    except OSError:
        return False


def has_torch(maps: bytes) -> bool:
    """Whether a /proc/PID/maps holds PyTorch's library."""
    return _TORCH.search(maps) is not None
