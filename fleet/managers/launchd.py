"""launchd agents for a fleet: one property list for each program, in the user's LaunchAgents.

launchd restarts after a failure or always; it has no exception for exit codes. So a shell runs in front of each
program: it forwards SIGTERM, records the exit code, and exits with success only after a final one.
"""

import os
import plistlib
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fleet.managers import Command, File
from fleet.processes.launch import FINAL_EXIT_CODES
from fleet.processes.programs import Program, group_and_name
from fleet.processes.state import ManagerError, ProcessState
from fleet.state_folder import StateFolder

# The trainer has 10 s to save; then launchd kills it.
_STOP_SECONDS = 15
# The launcher does the backoff; this only keeps launchd from spinning.
_THROTTLE_SECONDS = 5

_ROTATION = "logs"
_ROTATION_SECONDS = 3600

# $1 is the file that the exit code goes to, the rest is the program.
_SHELL = f"""\
note=$1; shift
trap 'kill -TERM "$program" 2>/dev/null' TERM INT
rm -f "$note"
"$@" &
program=$!
wait "$program"; code=$?
while kill -0 "$program" 2>/dev/null; do wait "$program"; code=$?; done
echo "$code" > "$note"
case $code in {"|".join(map(str, FINAL_EXIT_CODES))}) exit 0 ;; esac
exit 1
"""

# bootout: no such job (3), still exiting (36), unknown (113).
_GONE = frozenset({0, 3, 36, 113})
_ROW = re.compile(r"(?P<pid>-|\d+)\t(?P<status>-?\d+)\t(?P<label>\S+)")


class Manager:
    """launchd, in the GUI domain of the user."""

    def __init__(self, fleet: str, folder: StateFolder) -> None:
        self._fleet, self._folder = fleet, folder
        self._directory = Path.home() / "Library" / "LaunchAgents"
        self._domain = f"gui/{os.getuid()}"

    @staticmethod
    def is_usual() -> bool:
        return sys.platform == "darwin"

    def files(self, programs: Iterable[Program]) -> list[File]:
        planned = list(programs)
        agents = [File(self._path(one.title), _dump(self._agent(one)), frozenset({one.title})) for one in planned]
        return [*agents, File(self._path(_ROTATION), _dump(self._rotation(planned[0].environment)))]

    def reload(self) -> list[Command]:
        return []

    def enable(self) -> list[Command]:
        """Nothing: launchd loads what is in LaunchAgents."""
        return []

    def disable(self) -> list[Command]:
        return []

    def start(self, titles: Sequence[str], others: Collection[str]) -> list[Command]:
        """Retried: while a job of the same label is exiting, launchd reports an input/output error."""
        return [
            Command(("launchctl", "bootstrap", self._domain, str(self._path(title))), patience_seconds=20)
            for title in self._with_rotation(titles, others)
        ]

    def stop(self, titles: Sequence[str], others: Collection[str]) -> list[Command]:
        return [
            Command(("launchctl", "bootout", f"{self._domain}/{self._label(title)}"), _GONE)
            for title in self._with_rotation(titles, others)
        ]

    def processes(self, titles: Iterable[str]) -> list[ProcessState]:
        by_label = {self._label(title): title for title in titles}
        return [
            self._process_state(by_label[label], pid, status)
            for label, (pid, status) in parse_list(_ask("list")).items()
            if label in by_label
        ]

    def caveats(self) -> list[str]:
        return [
            "macOS ends a user's agents at log-out and starts them at log-in: lock the screen instead, "
            "and let System Settings log you in after a restart"
        ]

    def _with_rotation(self, titles: Sequence[str], others: Collection[str]) -> list[str]:
        """Log rotation starts with the first program and stops with the last."""
        return [*titles, *([] if others else [_ROTATION])]

    def _label(self, title: str) -> str:
        return f"peerwatch.{self._fleet}.{title.replace(':', '.', 1)}"

    def _path(self, title: str) -> Path:
        return self._directory / f"{self._label(title)}.plist"

    def _note(self, title: str) -> Path:
        return self._folder.launch_record(*group_and_name(title)).with_suffix(".exit")

    def _agent(self, program: Program) -> dict[str, Any]:
        shell = ("/bin/sh", "-c", _SHELL, "sh", str(self._note(program.title)))
        return {
            "Label": self._label(program.title),
            "ProgramArguments": [*shell, *program.command],
            "EnvironmentVariables": dict(program.environment),
            "WorkingDirectory": str(self._folder.root),
            "StandardOutPath": str(program.log),
            "StandardErrorPath": str(program.log),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": _THROTTLE_SECONDS,
            "ExitTimeOut": _STOP_SECONDS,
            # Background would let macOS throttle the trainer; what watches it should cost it nothing.
            "ProcessType": "Standard" if program.group == "peer" else "Background",
            "Umask": 0o077,
        }

    def _rotation(self, environment: Mapping[str, str]) -> dict[str, Any]:
        """launchd appends to a log and never rotates it."""
        return {
            "Label": self._label(_ROTATION),
            "ProgramArguments": [sys.executable, "-m", "fleet.processes.log_rotation", str(self._folder.root)],
            "EnvironmentVariables": {key: value for key, value in environment.items() if key.startswith("PYTHON")},
            "StartInterval": _ROTATION_SECONDS,
            "ProcessType": "Background",
        }

    def _process_state(self, title: str, pid: int, status: int) -> ProcessState:
        group, name = group_and_name(title)
        exit_code = _read_note(self._note(title), otherwise=status)
        is_final = status == 0 and exit_code in FINAL_EXIT_CODES
        state = "RUNNING" if pid else "EXITED" if is_final else "BACKOFF"
        return ProcessState(group, name, state, pid, exit_code, str(self._folder.log(group, name)))


def _dump(agent: Mapping[str, Any]) -> str:
    return plistlib.dumps(dict(agent)).decode()


def parse_list(text: str) -> Mapping[str, tuple[int, int]]:
    """`launchctl list`: pid (0 if it does not run) and last exit status of each job by its label."""
    found = filter(None, map(_ROW.fullmatch, text.splitlines()))
    return {row["label"]: (0 if row["pid"] == "-" else int(row["pid"]), int(row["status"])) for row in found}


def _read_note(path: Path, *, otherwise: int) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return otherwise


def _ask(*arguments: str) -> str:
    try:
        result = subprocess.run(("launchctl", *arguments), capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ManagerError(f"cannot run launchctl: {error}; try --manager supervisor") from None
    if result.returncode != 0:
        raise ManagerError(f"launchctl does not answer: {result.stderr.strip()}; log in at the screen of this Mac")
    return result.stdout
