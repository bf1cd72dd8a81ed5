"""Finds the exception that ended a program in what it printed. Pure."""

import re
from collections.abc import Iterable

# Launchers print whose line it is, an exception group a frame.
_WHOSE = re.compile(r"(?:\[\w{1,32}\]:\s?|\((?:\w{1,64} )?pid=\d{1,10}[^)]{0,64}\)\s|\s{0,32}\| ){1,3}")
_TRACEBACK = "Traceback (most recent call last):"
# What ends a traceback, whatever the exception's name is.
_RAISED = re.compile(r"[A-Za-z_][\w.]{0,200}(\(\w{1,64}\))?(:\s|:?$)")
_ERROR = re.compile(r"[A-Za-z_][\w.]{0,200}(?<=Error|ption)(\(\w{1,64}\))?(:\s|:?$)|Fatal Python error: ")
# Raised by a launcher because a process below it has ended.
_LAUNCHERS = re.compile(
    r"(\w+\.)*(ChildFailedError|CalledProcessError|ProcessExitedException|ProcessRaisedException)\b"
)


def find_exception(lines: Iterable[str], progress: re.Pattern[str]) -> str | None:
    """The line that names the last exception since the last `progress`: a launcher's only if there is no other."""
    raised: str | None = None
    launchers: str | None = None
    is_inside = False
    for line in lines:
        bare = line[found.end() :] if (found := _WHOSE.match(line)) else line
        if bare.rstrip().endswith(_TRACEBACK):
            is_inside = True
        elif is_inside and (not bare.strip() or bare[0].isspace()):
            continue
        elif (_RAISED if is_inside else _ERROR).match(bare):
            is_inside = False
            if _LAUNCHERS.match(bare):
                launchers = bare
            else:
                raised = bare
        elif progress.search(bare):
            raised = launchers = None
            is_inside = False
    return raised or launchers
