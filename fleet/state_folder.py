"""Where everything of one fleet lies on disk."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

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
    def alerts(self) -> Path:
        return self.root / "alerts"

    @property
    def prometheus(self) -> Path:
        """Configuration, rules and data of the Prometheus beside the fleet, where there is one."""
        return self.root / "prometheus"

    @property
    def launches(self) -> Path:
        """Records of when each program was started, one file a program."""
        return self.root / "launches"

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
        """In the state folder; in a folder of the user's own below /tmp where that path is too long.

        Not TMPDIR, which differs between a terminal and a session over ssh: `status` must find what `up` made.
        """
        path = self.root / "supervisor.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path("/tmp") / f"peerwatch-{os.getuid()}" / f"{digest}.sock"
