"""Talks to a fleet's supervisord over its unix socket: the only module that does."""

import http.client
import socket
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from fleet.processes.state import ProcessState

_TIMEOUT_SECONDS = 5.0


class ControlError(Exception):
    """supervisord does not answer on its socket."""


class Control:
    """A supervisord; every method raises ControlError if it does not answer."""

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
        """Stops all programs at the same time, without waiting."""
        self._call("stopAllProcesses", False)

    def reread(self) -> list[str]:
        """Reads its configuration again; the groups that are new in it. Nothing is started or stopped."""
        ((added, _changed, _removed),) = self._call("reloadConfig")
        return [str(group) for group in added]

    def add(self, group: str) -> None:
        """Starts a group that is new in the configuration."""
        self._call("addProcessGroup", group)

    def restart(self, group: str, seconds: float) -> None:
        """Stops a group, waits for its end for at most so long, and starts it."""
        self._call("stopProcessGroup", group, False)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(one.title == group and one.pid for one in self.processes()):
            time.sleep(0.1)
        self._call("startProcessGroup", group, False)

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
    """With a time-out, which supervisor's own connection lacks: a stopped supervisord must not hang `status`."""

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
