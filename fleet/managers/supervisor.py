"""supervisord's configuration for a fleet: one file for `peerwatch up`, one for each program of installed services.

Its format has three traps: `%` starts an expansion everywhere, and a second time in log file names; a space and `;` or
`#` start a comment even within quotes; environment values have quotes but no escapes.
"""

import re
import shlex
import sys
from collections.abc import Collection, Iterable, Sequence

import psutil

from exporter.system.process_identity import is_running
from fleet.managers import Command, File
from fleet.processes.launch import FINAL_EXIT_CODES, START_SECONDS
from fleet.processes.programs import Program, group_and_name
from fleet.processes.state import ProcessState
from fleet.processes.supervisord import Control, ControlError
from fleet.state_folder import StateFolder

# The trainer has 10 s to save; after this time supervisord kills its process group.
STOP_SECONDS = 11
# The launcher has its own limit; this one counts exits within a second of a start, such as repeated kills.
_START_RETRIES = 20
_PID_FILE = "supervisord.pid"
_PROGRAMS = "programs.d"

_COMMENT = re.compile(r"\s[;#]|[\r\n]")


def render(programs: Iterable[Program], folder: StateFolder) -> str:
    """supervisord.conf. Raises ValueError for a path that supervisord's format cannot hold."""
    return "\n".join([_head(folder, is_daemon=False), *map(_program, programs)])


class Manager:
    """A supervisord for this fleet alone; nothing starts it after a reboot."""

    def __init__(self, fleet: str, folder: StateFolder) -> None:
        self._fleet, self._folder = fleet, folder
        self._config = folder.services / "supervisord.conf"

    @staticmethod
    def is_usual() -> bool:
        return False

    def files(self, programs: Iterable[Program]) -> list[File]:
        if re.search(r"[][*?]", str(self._folder.services)):
            raise ValueError(f"supervisord cannot use {self._folder.services}: it contains one of [ ] * ?")
        head = f"{_head(self._folder, is_daemon=True)}\n[include]\nfiles = {_PROGRAMS}/*.conf\n"
        return [File(self._config, head, mode=0o600), *map(self._file, programs)]

    def reload(self) -> list[Command]:
        return []

    def enable(self) -> list[Command]:
        return []

    def disable(self) -> list[Command]:
        return []

    def start(self, titles: Sequence[str], others: Collection[str]) -> list[Command]:
        if not others:
            command = (sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config))
            return [Command(command, environment={"PYTHONSAFEPATH": "1"})]
        return [self._control("reread"), *(self._control("add", _group(title)) for title in titles)]

    def stop(self, titles: Sequence[str], others: Collection[str]) -> list[Command]:
        """Removed too, as supervisord reads a program's file only when it is added."""
        if not others:
            return [self._control("shutdown")]
        groups = [_group(title) for title in titles]
        return [self._control("stop", *(f"{group}:*" for group in groups)), self._control("remove", *groups)]

    def processes(self, titles: Iterable[str]) -> list[ProcessState]:
        wanted = set(titles)
        try:
            found = Control(self._folder.socket).processes()
        except ControlError:
            return list(map(self._stopping, wanted)) if self._is_alive() else []
        return [process for process in found if process.title in wanted]

    def caveats(self) -> list[str]:
        return [
            "nothing starts supervisord after a reboot; let cron do it: `crontab -e`, and a line "
            f"`@reboot {sys.executable} -m fleet services start -f FILE` with the full path of your configuration"
        ]

    def _is_alive(self) -> bool:
        """While exiting it no longer answers, and would delete the socket of the next one."""
        try:
            process = psutil.Process(int((self._folder.root / _PID_FILE).read_text()))
            return is_running(process) and str(self._config) in process.cmdline()
        except (OSError, ValueError, psutil.Error):
            return False

    def _stopping(self, title: str) -> ProcessState:
        group, name = group_and_name(title)
        return ProcessState(group, name, "STOPPING", 0, 0, str(self._folder.log(group, name)))

    def _file(self, program: Program) -> File:
        path = self._config.parent / _PROGRAMS / f"{section_name(program)}.conf"
        return File(path, _program(program), frozenset({program.title}), mode=0o600)

    def _control(self, *words: str) -> Command:
        return Command((sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self._config), *words))


def _group(title: str) -> str:
    return title.replace(":", "-", 1)


def _head(folder: StateFolder, *, is_daemon: bool) -> str:
    return f"""\
[unix_http_server]
file = {_value(str(folder.socket))}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{_value(str(folder.socket))}

[supervisord]
nodaemon = {str(not is_daemon).lower()}
silent = true
umask = 077
logfile = {_value(str(folder.supervisor_log))}
logfile_maxbytes = 5MB
logfile_backups = 2
pidfile = {_value(str(folder.root / _PID_FILE))}
childlogdir = {_value(str(folder.root))}
"""


def _program(program: Program) -> str:
    environment = ",".join(f'{name}="{_quoted(value)}"' for name, value in sorted(program.environment.items()))
    return f"""\
[program:{section_name(program)}]
process_name = {program.name}
command = {_value(shlex.join(program.command))}
environment = {environment}
stdout_logfile = {_value(_value(str(program.log)))}
stdout_logfile_maxbytes = 20MB
stdout_logfile_backups = 3
redirect_stderr = true
autorestart = unexpected
exitcodes = {",".join(map(str, FINAL_EXIT_CODES))}
startsecs = {START_SECONDS}
startretries = {_START_RETRIES}
stopsignal = TERM
stopwaitsecs = {STOP_SECONDS}
stopasgroup = false
killasgroup = true
"""


def section_name(program: Program) -> str:
    """Without a [group:] section it also names a group of one, so that each can be removed separately."""
    return program.group if program.group == program.name else f"{program.group}-{program.name}"


def _value(text: str) -> str:
    if _COMMENT.search(text):
        raise ValueError(f"supervisord cannot use {text!r}: a space before ; or # starts a comment there")
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    if '"' in text or "'" in text:
        raise ValueError(f"supervisord cannot set {text!r} in an environment: it contains a quote")
    return _value(text)
