"""The state of one program as its service manager reports it."""

from typing import NamedTuple

from fleet.processes.launch import FINAL_EXIT_CODES, FINISHED_EXIT_CODE
from fleet.processes.programs import title


class ManagerError(Exception):
    """The service manager does not answer; the text is one line for the user."""


class ProcessState(NamedTuple):
    """One program as its service manager sees it, in supervisord's terms; `exit_code` is valid only after an exit."""

    group: str
    name: str
    state: str
    pid: int
    exit_code: int
    log: str

    @property
    def title(self) -> str:
        return title(self.group, self.name)

    @property
    def is_active(self) -> bool:
        """Whether it runs, or the manager is about to restart it."""
        return self.state in ("RUNNING", "STARTING", "BACKOFF", "STOPPING")

    @property
    def is_finished(self) -> bool:
        return self.state == "EXITED" and self.exit_code == FINISHED_EXIT_CODE

    @property
    def has_failed(self) -> bool:
        """Whether the manager has given it up; an exit followed by a restart shows in the pid only."""
        is_final = self.state == "EXITED" and self.exit_code in FINAL_EXIT_CODES
        return self.state in ("FATAL", "UNKNOWN") or (is_final and not self.is_finished)
