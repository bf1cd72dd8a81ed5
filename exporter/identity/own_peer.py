"""Which peer of the swarm a sidecar's trainer is, and its round."""

from pathlib import Path
from typing import NamedTuple

from exporter.config import Reported, SidecarConfig
from exporter.identity.peer_id import read_peer_id
from exporter.textfile_reader import value_of
from exporter.watch_file import SwarmIdentity


class OwnState(NamedTuple):
    """`peer_id` is empty and `round` None until they are known; `problem` says in one line why the id is not."""

    peer_id: str
    round: float | None
    problem: str


class OwnPeer:
    """What the trainer reports comes first, then its key file, then what was known when the watch was set up."""

    def __init__(self, reported: Reported, swarm: SwarmIdentity | None = None) -> None:
        self._reported = reported
        self._swarm = swarm or SwarmIdentity()
        self._peer_id = self._swarm.peer_id or ""
        self._round: float | None = None
        self._key_read_at: tuple[int, int] | None = None

    @classmethod
    def configured(cls, config: SidecarConfig) -> "OwnPeer":
        return cls(config.reported, config.watch.swarm if config.watch else None)

    def read(self, now: float) -> OwnState:
        """The state at the Unix time `now`; a failed read leaves what was known."""
        problem = "no peer id in trainer.prom yet"
        if self._swarm.identity_path is not None:
            problem = self._read_key(Path(self._swarm.identity_path))
        try:
            samples = self._reported.read(now)
        except (OSError, ValueError):
            samples = []
        else:
            self._round = value_of(samples, "swarm_round")
        reported = next((sample.labels["peer_id"] for sample in samples if sample.name == "trainer_info"), "")
        self._peer_id = reported or self._peer_id
        return OwnState(self._peer_id, self._round, "" if self._peer_id else problem)

    def _read_key(self, path: Path) -> str:
        """Takes in the key file where it has changed; why it cannot be read, else nothing."""
        try:
            facts = path.stat()
            version = (facts.st_mtime_ns, facts.st_ino)
            if version != self._key_read_at:
                self._peer_id, self._key_read_at = read_peer_id(path), version
        except OSError as error:
            return f"no peer id: {path}: {error.strerror}"
        except ValueError as error:
            return f"no peer id: {error}"
        return ""
