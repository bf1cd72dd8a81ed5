"""supervisord's configuration file for a fleet; pure.

Its format has three traps: `%` starts an expansion everywhere and a second time in log file names, a space and `;` or
`#` start a comment even within quotes, and environment values know quotes but no escape within them.
"""

import re
import shlex
from collections.abc import Iterable

from fleet.launch import FINAL_EXIT_CODES, START_SECONDS
from fleet.programs import Program
from fleet.state_folder import StateFolder

# The trainer has 10 s to save; supervisord kills it, with its process group, after this time.
STOP_SECONDS = 11

_COMMENT = re.compile(r"\s[;#]|[\r\n]")


def render(programs: Iterable[Program], folder: StateFolder) -> str:
    """supervisord.conf. Raises ValueError where a path holds what supervisord's format cannot say."""
    return "\n".join([_head(folder), *map(_program, programs)])


def _head(folder: StateFolder) -> str:
    return f"""\
[unix_http_server]
file = {_value(str(folder.socket))}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{_value(str(folder.socket))}

[supervisord]
nodaemon = true
silent = true
umask = 077
logfile = {_value(str(folder.supervisor_log))}
logfile_maxbytes = 5MB
logfile_backups = 2
pidfile = {_value(str(folder.root / "supervisord.pid"))}
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
startretries = 3
stopsignal = TERM
stopwaitsecs = {STOP_SECONDS}
stopasgroup = false
killasgroup = true
"""


def section_name(program: Program) -> str:
    """Without a [group:] section it is also the name of a group of one, so that each can be taken out by itself."""
    return program.group if program.group == program.name else f"{program.group}-{program.name}"


def _value(text: str) -> str:
    if _COMMENT.search(text):
        raise ValueError(f"supervisord cannot use {text!r}: a space before ; or # starts a comment there")
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    if '"' in text or "'" in text:
        raise ValueError(f"supervisord cannot set {text!r} in an environment, as it holds a quote")
    return _value(text)
