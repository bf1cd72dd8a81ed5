"""The sidecar and the alert loop beside one command of the foreground, without a service manager."""

import os
import secrets
import subprocess
import time
from collections.abc import Callable
from typing import Self

from fleet.configuration.load import Loaded
from fleet.processes.leftovers import below, end
from fleet.processes.programs import Program, plan_programs
from fleet.supervision.foreground import Fleet, record_run

# Launched directly: what follows the launcher's own options.
_COMMAND = "--"
RESTART_SECONDS = 5.0


class Beside:
    """A context; leaving it ends them. One that ends by itself is started again, rarely."""

    def __init__(self, loaded: Loaded) -> None:
        assert loaded.config is not None
        self._folder, self._owner = loaded.folder, secrets.token_hex(16)
        programs = plan_programs(loaded.config, loaded.peers, loaded.folder, self._owner, base=loaded.base)
        self._fleet = Fleet(loaded)
        self._programs = [one for one in programs if one.group in ("sidecar", "alerts", "push")]
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._started_at: dict[str, float] = {}

    def __enter__(self) -> Self:
        """Raises RunError."""
        self._fleet.write()
        record_run(self._folder, self._owner)
        self.keep_running()
        return self

    def __exit__(self, *_: object) -> None:
        end([one for process in self._running.values() for one in below(process.pid)], grace_seconds=5)
        for process in self._running.values():
            process.wait()
        self._folder.run_record.unlink(missing_ok=True)

    def keep_running(self) -> None:
        """Starts what does not run; call it now and then."""
        for program in self._programs:
            process = self._running.get(program.title)
            is_due = time.monotonic() - self._started_at.get(program.title, -RESTART_SECONDS) >= RESTART_SECONDS
            if is_due and (process is None or process.poll() is not None):
                self._running[program.title] = _start(program)
                self._started_at[program.title] = time.monotonic()

    def wait_until(self, check: Callable[[], bool], seconds: float) -> bool:
        """Whether the check held within this time, while they run on."""
        deadline = time.monotonic() + seconds
        while not (held := check()) and time.monotonic() < deadline:
            self.keep_running()
            time.sleep(0.2)
        return held


def _start(program: Program) -> subprocess.Popen[bytes]:
    command = program.command[program.command.index(_COMMAND) + 1 :]
    program.log.parent.mkdir(parents=True, exist_ok=True)
    with program.log.open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | program.environment | {"PYTHONSAFEPATH": "1"},
            # Ctrl-C is for the command alone.
            start_new_session=True,
        )
