"""The mark of a fleet's processes: an environment variable that each inherits."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

# Its value is unique to one run.
OWNER_VARIABLE = "PEERWATCH_OWNER"


def owner_of(owner: str, group: str, name: str) -> str:
    """The mark of one program's processes."""
    return f"{owner}/{group}:{name}"


def owned_by(owner: str) -> "list[psutil.Process]":
    """This user's processes whose owner is this one, or below it (`RUN` owns `RUN/peer:a`), without this process."""
    # The launcher, in front of every program, needs only the variable's name.
    import psutil

    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            if process.uids().real != os.getuid():
                continue
            value = process.environ().get(OWNER_VARIABLE, "")
        except (psutil.Error, OSError):
            continue
        if value == owner or value.startswith(owner + "/"):
            found.append(process)
    return found
