"""Service managers that can run a fleet: each renders its files from the planned programs, and names its commands.

Nothing here writes or runs: `fleet.supervision.steps` does.
"""

import importlib
import pkgutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fleet.processes.programs import Program
from fleet.processes.state import ProcessState
from fleet.state_folder import StateFolder


@dataclass(frozen=True)
class File:
    """One file of a fleet; `read_by` are the titles of the programs that must restart to read a change."""

    path: Path
    text: str
    read_by: frozenset[str] = frozenset()
    mode: int = 0o644


@dataclass(frozen=True)
class Command:
    """A command of the service manager. Exit statuses in `allowed` count as success.

    One that may come too early is retried for `patience_seconds`.
    """

    arguments: tuple[str, ...]
    allowed: frozenset[int] = frozenset({0})
    patience_seconds: float = 0
    environment: Mapping[str, str] = field(default_factory=dict)


class Manager(Protocol):
    """One service manager for one fleet. Programs are named by their titles (`peer:amber`, `alerts`)."""

    def __init__(self, fleet: str, folder: StateFolder) -> None: ...

    @staticmethod
    def is_usual() -> bool:
        """Whether this machine's own services run with it."""

    def files(self, programs: Iterable[Program]) -> list[File]: ...

    def reload(self) -> list[Command]:
        """After files have changed, before anything starts."""

    def enable(self) -> list[Command]:
        """Makes the fleet start at boot."""

    def disable(self) -> list[Command]: ...

    def start(self, titles: Sequence[str], others: Collection[str]) -> list[Command]:
        """Of programs that do not run. `others` are those that the manager already has."""

    def stop(self, titles: Sequence[str], others: Collection[str]) -> list[Command]:
        """`others` are those that stay; without any, the whole fleet is stopped."""

    def processes(self, titles: Iterable[str]) -> list[ProcessState]:
        """Those of the programs that the manager knows. Raises ManagerError."""

    def caveats(self) -> list[str]:
        """Why the fleet would not survive a log-out or a reboot, each with its remedy, in one line."""


def discover() -> dict[str, type[Manager]]:
    """Each manager's class by its name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").Manager for name in names}
