"""The file in which a fleet says where its sidecars' pages are pushed to."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from exporter.machine.machine_file import MAX_BYTES, check_peers
from exporter.run_folder import read_bounded

PUSH_FILE = "push.json"


class PushDescription(NamedTuple):
    """Where to: `watcher` is https://HOST:PORT, `machine` what it calls this machine, `login` a file user:password.

    `certificate` is a file with the only one that the watcher may have; without it, the system's authorities vouch.
    `peers` has the port of each peer's sidecar on `host`, by the peer's name.
    """

    watcher: str
    machine: str
    login: Path
    host: str
    peers: Mapping[str, int]
    certificate: Path | None = None

    def render(self) -> bytes:
        """As the file has it."""
        paths = {"login": str(self.login), "certificate": str(self.certificate) if self.certificate else None}
        return json.dumps({**self._asdict(), "peers": dict(self.peers), **paths}).encode()


def read_push(path: Path) -> PushDescription:
    """Raises OSError, or ValueError with one line."""
    try:
        found = json.loads(read_bounded(path, MAX_BYTES))
        certificate = found.pop("certificate")
        described = PushDescription(
            **{**found, "login": Path(found["login"])}, certificate=Path(certificate) if certificate else None
        )
        check_peers(described.peers)
        parts = urlsplit(described.watcher)
        if parts.scheme != "https" or not parts.hostname or not parts.port:
            raise ValueError("the watcher is no https:// address with a port")
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not what a fleet writes: {error}") from None
    return described
