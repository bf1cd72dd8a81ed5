"""The file in which a fleet describes its machine, for its sidecars: name, peers, disks."""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from exporter.run_folder import read_bounded

MACHINE_FILE = "machine.json"
MAX_BYTES = 1 << 16
MAX_PEERS = 256
_FILES = ("certificate", "key", "login")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NO_NAME = "a name is not 1 to 64 of A-Z a-z 0-9 . _ -"


class MachineDescription(NamedTuple):
    """A machine: its name, the port of each peer's sidecar by the peer's name, and a path on each disk to watch.

    `certificate` and `key` (PEM) and `login` (one line user:password) are files for who comes from outside.
    """

    name: str
    peers: Mapping[str, int]
    disks: tuple[Path, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    login: Path | None = None

    def render(self) -> bytes:
        """As the file has it."""
        files = {name: str(path) for name in _FILES if (path := getattr(self, name)) is not None}
        disks = [str(path) for path in self.disks]
        return json.dumps({"machine": self.name, "peers": dict(self.peers), "disks": disks, **files}).encode()

    def render_for_watchers(self) -> bytes:
        """As a sidecar serves it: paths are nobody else's business."""
        return json.dumps({"machine": self.name, "peers": dict(self.peers)}).encode()


def read_machine(path: Path) -> MachineDescription:
    """Raises OSError, or ValueError with one line."""
    try:
        return parse_machine(read_bounded(path, MAX_BYTES))
    except ValueError as error:
        raise ValueError(f"{path}: not what a fleet writes: {error}") from None


def parse_machine(content: bytes) -> MachineDescription:
    """What `render` wrote, which may come from a stranger. Raises ValueError with one line that quotes nothing."""
    try:
        found = json.loads(content)
        name, peers = found["machine"], found["peers"]
        disks = tuple(Path(path) for path in found.get("disks", ()))
        files = {name: Path(found[name]) for name in _FILES if name in found}
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise ValueError("no machine and peers as JSON") from None
    if not _is_name(name):
        raise ValueError(_NO_NAME)
    check_peers(peers)
    return MachineDescription(name, peers, disks, **files)


def check_peers(peers: object) -> None:
    """Raises ValueError, with one line that quotes nothing, for what is no port of a sidecar by the peer's name."""
    if not isinstance(peers, dict):
        raise ValueError(_NO_NAME)
    check_names(peers)
    if not all(type(port) is int and 0 < port < 65536 for port in peers.values()):
        raise ValueError("a port is not between 1 and 65535")


def check_names(names: Collection[object]) -> None:
    """Raises ValueError, with one line that quotes nothing, for what are no names of a machine's peers."""
    if not all(map(_is_name, names)):
        raise ValueError(_NO_NAME)
    if not 0 < len(names) <= MAX_PEERS:
        raise ValueError(f"{len(names)} peers; 1 to {MAX_PEERS} are possible")


def _is_name(text: object) -> bool:
    return isinstance(text, str) and _NAME.fullmatch(text) is not None and bool(text.strip("."))
