"""The file in which a fleet says where its sidecars' pages are pushed to."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from exporter.machine.machine_file import MAX_BYTES, check_peers
from exporter.run_folder import read_bounded

PUSH_FILE = "push.json"
_CERTIFICATES = ("certificate", "standby_certificate")


class PushDescription(NamedTuple):
    """Where to: `watcher` is https://HOST:PORT, `machine` what it calls this machine, `login` a file user:password.

    `certificate` is a file with the only one that the watcher may have; without it, the system's authorities vouch.
    `peers` has the port of each peer's sidecar on `host`, by the peer's name. `standby` is a second watcher, which gets
    the same.
    """

    watcher: str
    machine: str
    login: Path
    host: str
    peers: Mapping[str, int]
    certificate: Path | None = None
    standby: str | None = None
    standby_certificate: Path | None = None

    def each(self) -> "list[PushDescription]":
        """One for each watcher, without a second one."""
        first = self._replace(standby=None, standby_certificate=None)
        if self.standby is None:
            return [first]
        return [first, first._replace(watcher=self.standby, certificate=self.standby_certificate)]

    def render(self) -> bytes:
        """As the file has it."""
        paths = {name: str(found) if (found := getattr(self, name)) else None for name in ("login", *_CERTIFICATES)}
        return json.dumps({**self._asdict(), "peers": dict(self.peers), **paths}).encode()


def read_push(path: Path) -> PushDescription:
    """Raises OSError, or ValueError with one line."""
    try:
        found = json.loads(read_bounded(path, MAX_BYTES))
        certificates = {name: Path(text) if (text := found.get(name)) else None for name in _CERTIFICATES}
        described = PushDescription(**{**found, "login": Path(found["login"]), **certificates})
        check_peers(described.peers)
        for one in described.each():
            parts = urlsplit(one.watcher)
            if parts.scheme != "https" or not parts.hostname or not parts.port:
                raise ValueError("the watcher is no https:// address with a port")
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not what a fleet writes: {error}") from None
    return described
