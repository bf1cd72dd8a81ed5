"""Finds again a trainer that somebody else starts: by its folder, its command line, its pid file or its unit."""

import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import psutil

from exporter.run_folder import read_bounded
from exporter.system.process_identity import is_running

# A pattern is matched against so much of a command line.
MAX_COMMAND = 8192
# A process that is older has executed what it will be: a shell becomes its program at once.
SETTLED_SECONDS = 60.0

# What has a trainer's command line among its arguments, and is none.
_ABOUT_COMMANDS = frozenset(
    (
        *("cat", "code", "emacs", "git", "grep", "head", "less", "man", "more", "nano", "pgrep", "rg", "rsync", "scp"),
        *("screen", "ssh", "sudo", "systemd-run", "tail", "tee", "time", "tmux", "vi", "vim", "view", "watch"),
    )
)
_SHELLS = frozenset(["bash", "dash", "fish", "ksh", "sh", "zsh"])


@dataclass(frozen=True)
class Criteria:
    """What is known of the process; all that is given must hold, and a pid file or a unit is enough.

    `folder` is its working directory, `command` a regular expression that is searched in its command line, `pid_file`
    holds its pid, `unit` is its systemd service.
    """

    folder: Path | None = None
    command: str | None = None
    pid_file: Path | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, one line, for a pattern that is none, or where nothing is given."""
        if self.command is not None:
            try:
                re.compile(self.command)
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(f"command: {self.command[:64]!r} is no regular expression: {error}") from None
        if all(getattr(self, field.name) is None for field in fields(self)):
            raise ValueError("nothing tells the process: name a folder, a command, a pid_file or a unit")


class AttachedProcess:
    """The top-most process that fits. Cheap to ask while it runs, and while none does."""

    def __init__(
        self,
        criteria: Criteria,
        *,
        list_processes: Callable[[], Iterable[psutil.Process]] = psutil.process_iter,
        proc: Path = Path("/proc"),
    ) -> None:
        self._criteria = criteria
        self._pattern = re.compile(criteria.command) if criteria.command is not None else None
        self._list_processes = list_processes
        self._proc = proc
        self._found: psutil.Process | None = None
        self._others: set[psutil.Process] = set()

    def find(self, now: float) -> psutil.Process | None:
        """The process; None while none runs that fits. `now` is the time by the clock of process starts, in seconds."""
        if self._found is None or not is_running(self._found):
            self._found = self._search(now)
        return self._found

    def _search(self, now: float) -> psutil.Process | None:
        if self._criteria.pid_file is not None:
            process = _read_pid_file(self._criteria.pid_file)
            return process if process is not None and self._fits(process) else None
        fitting = []
        running = set()
        for process in self._list_processes():
            running.add(process)
            if process in self._others or process.pid == os.getpid():
                continue
            if self._fits(process):
                fitting.append(process)
            elif _is_settled(process, now):
                self._others.add(process)
        self._others &= running
        tops = [process for process in fitting if not _is_below(process, {other.pid for other in fitting})]
        # An earlier run may be about to end; of a service, the first process is the main one.
        tops.sort(key=_created_at, reverse=self._pattern is not None)
        return tops[0] if tops else None

    def _fits(self, process: psutil.Process) -> bool:
        """The cheapest first: nearly all processes fail at once."""
        criteria = self._criteria
        try:
            if (self._pattern or criteria.folder) and not self._matches(process.cmdline()):
                return False
            if criteria.unit is not None and self._unit_of(process.pid) != criteria.unit:
                return False
            if criteria.folder is not None and Path(process.cwd()) != criteria.folder.resolve():
                return False
            return is_running(process)
        except (psutil.Error, OSError):
            return False

    def _matches(self, command: list[str]) -> bool:
        if is_about_commands(command):
            return False
        return self._pattern is None or self._pattern.search(" ".join(command)[:MAX_COMMAND]) is not None

    def _unit_of(self, pid: int) -> str | None:
        try:
            return parse_unit((self._proc / str(pid) / "cgroup").read_text(errors="replace"))
        except OSError:
            return None


def parse_unit(cgroup: str) -> str | None:
    """The systemd service of a /proc/PID/cgroup, such as `train.service`; None outside of any.

    The manager of a user is a service itself; what a user's session starts is in none.
    """
    for line in cgroup.splitlines():
        hierarchy, _, path = line.partition(":")
        if hierarchy == "0" or "name=systemd" in line:
            services = [part for part in path.rpartition(":")[2].split("/") if part.endswith(".service")]
            if services and not services[-1].startswith("user@"):
                return services[-1]
    return None


def is_about_commands(command: Iterable[str]) -> bool:
    """Whether a program is about a trainer's command or folder, and none itself: an editor, an interactive shell."""
    words = list(command)
    if not words:
        return True
    name = os.path.basename(words[0]).lstrip("-").partition(" ")[0].rstrip(":")
    if name in _SHELLS:
        return all(word.startswith("-") for word in words[1:]) or any(
            re.fullmatch(r"-\w*c", word) for word in words[1:3]
        )
    return name in _ABOUT_COMMANDS


def _read_pid_file(path: Path) -> psutil.Process | None:
    try:
        return psutil.Process(int(read_bounded(path, 64)))
    except (OSError, ValueError, OverflowError, psutil.Error):
        return None


def _is_settled(process: psutil.Process, now: float) -> bool:
    return now - _created_at(process) > SETTLED_SECONDS


def _created_at(process: psutil.Process) -> float:
    try:
        return float(process.create_time())
    except psutil.Error:
        return sys.float_info.max


def _is_below(process: psutil.Process, pids: set[int]) -> bool:
    try:
        return any(parent.pid in pids for parent in process.parents())
    except psutil.Error:
        return False
