"""Talks to a fleet's supervisord over its unix socket: the only module that does."""

import http.client
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any, NamedTuple

from supervisor.xmlrpc import SupervisorTransport

from fleet.launch import FINAL_EXIT_CODES, FINISHED_EXIT_CODE
from fleet.programs import title

_TIMEOUT_SECONDS = 5.0


class ControlError(Exception):
    """supervisord does not answer on its socket."""


class ProcessState(NamedTuple):
    """One program as its service manager sees it, in supervisord's words; `exit_code` counts only once it has ended."""

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
        """Whether it runs, or the manager is about to start it again."""
        return self.state in ("RUNNING", "STARTING", "BACKOFF", "STOPPING")

    @property
    def is_finished(self) -> bool:
        return self.state == "EXITED" and self.exit_code == FINISHED_EXIT_CODE

    @property
    def has_failed(self) -> bool:
        """Whether the manager has given it up; an end that it restarts after shows in the pid only."""
        is_final = self.state == "EXITED" and self.exit_code in FINAL_EXIT_CODES
        return self.state in ("FATAL", "UNKNOWN") or (is_final and not self.is_finished)


class Control:
    """A supervisord; every method raises ControlError where it does not answer."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    def processes(self) -> list[ProcessState]:
        return [
            ProcessState(
                group=str(info["group"]).removesuffix(f"-{info['name']}"),
                name=str(info["name"]),
                state=str(info["statename"]),
                pid=int(info["pid"]),
                exit_code=int(info["exitstatus"]),
                log=str(info["stdout_logfile"]),
            )
            for info in self._call("getAllProcessInfo")
        ]

    def stop_all(self) -> None:
        """Asks every program to end, all at the same time, and does not wait for it."""
        self._call("stopAllProcesses", False)

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._path}")
        transport._get_connection = lambda: _Connection(self._path)
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise ControlError(f"supervisord does not answer on {self._path}: {error}") from None
        finally:
            transport.close()


class _Connection(http.client.HTTPConnection):
    """With a time-out, which supervisor's own connection has not: a stopped supervisord must not hang `status`."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.sock.close()
            raise
