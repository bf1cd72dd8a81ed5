"""What is known of a process: plain facts, read once, from which everything else follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# The environment holds tokens: only these are read, which name files, modes and contracts.
VARIABLES = (
    "HF_HOME",
    "HOME",
    "IDENTITY_PATH",
    "LOGGING_DIR",
    "ROOT",
    "SWARM_CONTRACT",
    "TENSORBOARD_DIR",
    "TENSORBOARD_LOGGING_DIR",
    "TRACKIO_DIR",
    "WANDB_DIR",
    "WANDB_MODE",
    "XDG_CACHE_HOME",
)


@dataclass(frozen=True)
class ProcessFacts:
    """One process. What may not be read of another user's is empty.

    `command` may hold secrets and is never shown. `streams` says where its descriptors 0 to 2 lead, as /proc names it:
    a path, `pipe:[1]`, `socket:[1]`. `files` are open files of the formats that progress is read from. `is_of_fleet`
    tells that Peerwatch has started it.
    """

    pid: int
    parent: int
    user: str
    command: tuple[str, ...] = field(repr=False)
    created_at: float = 0.0
    folder: Path | None = None
    streams: Mapping[int, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None
    maps_torch: bool = False
    is_of_fleet: bool = False


class ProcessTree:
    """All processes, and who is below whom."""

    def __init__(self, processes: list[ProcessFacts]) -> None:
        self.all = sorted(processes, key=lambda one: (one.created_at, one.pid))
        self._by_pid = {one.pid: one for one in self.all}
        self._children: dict[int, list[ProcessFacts]] = {}
        for one in self.all:
            self._children.setdefault(one.parent, []).append(one)

    def above(self, process: ProcessFacts) -> list[ProcessFacts]:
        """Its parent, and so on to the top."""
        found: list[ProcessFacts] = []
        seen = {process.pid}
        while (parent := self._by_pid.get(process.parent)) is not None and parent.pid not in seen:
            seen.add(parent.pid)
            found.append(parent)
            process = parent
        return found

    def below(self, process: ProcessFacts) -> list[ProcessFacts]:
        """All that descend from it, the nearest first."""
        found: list[ProcessFacts] = []
        seen = {process.pid}
        level = [process]
        while level:
            level = [child for one in level for child in self._children.get(one.pid, ()) if child.pid not in seen]
            seen.update(child.pid for child in level)
            found += level
        return found
