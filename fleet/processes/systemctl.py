"""The state of units in systemd's user manager, and whether the user lingers."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

from fleet.processes.launch import FINAL_EXIT_CODES
from fleet.processes.state import ManagerError, ProcessState

_STATES = {"active": "RUNNING", "reloading": "RUNNING", "activating": "STARTING", "deactivating": "STOPPING"}


def ask(*arguments: str) -> str:
    try:
        result = subprocess.run(
            ("systemctl", "--user", *arguments),
            env=os.environ | environment(),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ManagerError(f"cannot run systemctl --user: {error}; try --manager supervisor") from None
    if result.returncode != 0:
        said = (result.stderr.strip().splitlines() or ["no output"])[-1]
        raise ManagerError(
            f"systemd's user manager does not answer: {said}; start it with `sudo loginctl enable-linger {user()}`, "
            "or use --manager supervisor"
        )
    return result.stdout


def parse_show(text: str) -> Iterator[dict[str, str]]:
    """The properties of each unit that `systemctl show` prints."""
    for block in text.strip().split("\n\n"):
        yield dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def process_state(group: str, name: str, facts: dict[str, str], log: str) -> ProcessState:
    # CLD_EXITED: otherwise the status is the number of a signal.
    exit_code = int(facts.get("ExecMainStatus") or 0) if facts.get("ExecMainCode") == "1" else -1
    state = _STATES.get(facts.get("ActiveState", ""), "STOPPED")
    if facts.get("SubState") == "auto-restart":
        state = "BACKOFF"
    elif state == "STOPPED" and exit_code in FINAL_EXIT_CODES:
        state = "EXITED"
    elif facts.get("ActiveState") == "failed":
        state = "FATAL"
    return ProcessState(group, name, state, int(facts.get("MainPID") or 0), exit_code, log)


def environment() -> dict[str, str]:
    """The user manager's address, which cron and su do not set."""
    return {"XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"}


def user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def lingers() -> bool:
    """Whether lingering is on; `loginctl show-user` knows only users that are logged in."""
    return (Path("/var/lib/systemd/linger") / user()).exists()
