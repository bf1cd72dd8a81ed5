"""Where the files of one fleet are."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from exporter.machine.machine_file import MACHINE_FILE

# sockaddr_un holds 104 bytes on macOS and 108 on Linux; supervisord first binds to the path with a dot and its pid.
_LONGEST_SOCKET_PATH = 90


@dataclass(frozen=True)
class StateFolder:
    """The paths below one fleet's state folder."""

    root: Path

    @classmethod
    def of(cls, fleet: str) -> "StateFolder":
        return cls(Path(platformdirs.user_state_dir("peerwatch")) / fleet)

    def peer(self, name: str) -> Path:
        return self.root / "peers" / name

    @property
    def leaderboard(self) -> Path:
        return self.root / "leaderboard"

    @property
    def machine(self) -> Path:
        """What the sidecars tell watchers elsewhere."""
        return self.root / MACHINE_FILE

    @property
    def push(self) -> Path:
        """Where the sidecars' pages are pushed to, and the log of what does it."""
        return self.root / "push"

    @property
    def alerts(self) -> Path:
        return self.root / "alerts"

    @property
    def login(self) -> Path:
        """What the instances of a checkout of rl-swarm share: its log-in server's log, copies of its log-in."""
        return self.root / "login"

    @property
    def prometheus(self) -> Path:
        """Configuration, rules and data of the Prometheus beside the fleet, if it runs one."""
        return self.root / "prometheus"

    @property
    def launches(self) -> Path:
        """Records of each program's starts, one file per program."""
        return self.root / "launches"

    def launch_record(self, group: str, name: str) -> Path:
        return self.launches / (f"{group}.json" if group == name else f"{group}-{name}.json")

    def log(self, group: str, name: str) -> Path:
        """A program's output: of a peer's trainer (`peer`) or sidecar, or of a group with one program."""
        if group == "peer":
            return self.peer(name) / "trainer.log"
        if group == "login":
            return self.login / f"{name}.log"
        return self.peer(name) / "sidecar.log" if group == "sidecar" else self.root / group / f"{group}.log"

    @property
    def services(self) -> Path:
        """The record of the installed services, and the environment files of their programs."""
        return self.root / "services"

    @property
    def service_record(self) -> Path:
        return self.services / "installed.json"

    def environment_file(self, group: str) -> Path:
        return self.services / f"{group}.env"

    @property
    def supervisor_config(self) -> Path:
        return self.root / "supervisord.conf"

    @property
    def supervisor_log(self) -> Path:
        return self.root / "supervisord.log"

    @property
    def lock(self) -> Path:
        return self.root / "up.lock"

    @property
    def run_record(self) -> Path:
        return self.root / "up.json"

    @property
    def socket(self) -> Path:
        """In the state folder; in a private folder below /tmp if that path is too long.

        Not TMPDIR, which differs between a terminal and a session over ssh: `status` must find the socket of `up`.
        """
        path = self.root / "supervisor.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path("/tmp") / f"peerwatch-{os.getuid()}" / f"{digest}.sock"
