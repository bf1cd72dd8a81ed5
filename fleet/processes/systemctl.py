"""The state of units in systemd's user manager, and whether the user lingers."""

import os
import pwd
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from fleet.processes.launch import FINAL_EXIT_CODES
from fleet.processes.state import ManagerError, ProcessState

# Where systemd-logind makes each user's runtime folder.
USERS = Path("/run/user")
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
        raise ManagerError(f"systemd's user manager does not answer: {said}; {_remedy()}, or use --manager supervisor")
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


def environment(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The user manager's address. cron does not set it, and `su` and `sudo -E` leave that of somebody else."""
    own = str(USERS / str(os.getuid()))
    runtime = given.get("XDG_RUNTIME_DIR", "")
    if runtime and _owns(Path(runtime)):
        return {"XDG_RUNTIME_DIR": runtime}
    # An address of the bus takes precedence over the folder, and is just as foreign.
    bus = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={own}/bus"} if "DBUS_SESSION_BUS_ADDRESS" in given else {}
    return {"XDG_RUNTIME_DIR": own, **bus}


def _owns(folder: Path) -> bool:
    try:
        status = folder.stat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def _remedy() -> str:
    """Without its folder the manager does not run; with it, this shell is none of a session that may ask it."""
    if _owns(USERS / str(os.getuid())):
        return f"log in as {user()} with `sudo machinectl shell {user()}@` or ssh, instead of su or sudo"
    return f"start it with `sudo loginctl enable-linger {user()}`"


def user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def lingers() -> bool:
    """Whether lingering is on; `loginctl show-user` knows only users that are logged in."""
    return (Path("/var/lib/systemd/linger") / user()).exists()
