"""What the doctor's checks examine: one fleet's configuration, its state folder, and this user's processes."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fleet.configuration.load import Loaded
from fleet.doctor.trainers import RunningTrainer, find_trainers
from fleet.supervision.foreground import is_up
from fleet.supervision.installed import Installed, read_installed, service_environment, services_run

TIME_SERVER = "pool.ntp.org"
# Importing torch from a cold disk takes a minute on a small machine.
PROGRAM_SECONDS = 120.0


@dataclass(frozen=True)
class Site:
    """`python` is the interpreter that the fleet's processes run in."""

    loaded: Loaded
    time_server: str = TIME_SERVER
    tests_routes: bool = False
    python: str = sys.executable
    platform: str = sys.platform

    @cached_property
    def is_running(self) -> bool:
        return is_up(self.loaded.folder) or services_run(self.loaded.folder)

    @cached_property
    def installed(self) -> Installed | None:
        """The fleet's services; None if not installed. Raises RunError."""
        return read_installed(self.loaded.folder)

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment that resolves the alert loop's references, as services or from here. Raises RunError."""
        return service_environment(self.loaded.folder, "alerts") | dict(os.environ)

    @cached_property
    def trainers(self) -> list[RunningTrainer]:
        """Every trainer of this user, of any fleet and of rl-swarm."""
        return find_trainers()

    def run_python(self, code: str, *arguments: str) -> str:
        """The code's output. Raises ProbeError with its last line if it fails."""
        return run([self.python, "-c", code, *arguments])


class ProbeError(Exception):
    """A probe failed; the text is one line."""


def run(command: Sequence[str]) -> str:
    """The output of a short program without input and terminal. Raises ProbeError."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROGRAM_SECONDS,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )
    except subprocess.TimeoutExpired:
        raise ProbeError(f"timed out after {PROGRAM_SECONDS:g} s") from None
    except OSError as error:
        raise ProbeError(f"{command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ProbeError(lines[-1].strip() if lines else f"exit status {done.returncode}")
    return done.stdout
