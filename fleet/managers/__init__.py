"""Service managers that can run a fleet: each renders its own files from the planned programs, and names the commands
that act on them. Nothing here writes or runs: `fleet.supervision.service_plan` does, or only prints what it would do.
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
    """One file of a fleet; `read_by` are the titles of the programs that only a restart tells of a change in it."""

    path: Path
    text: str
    read_by: frozenset[str] = frozenset()
    mode: int = 0o644


@dataclass(frozen=True)
class Command:
    """A command of the service manager. Exit statuses in `allowed` are no failure.

    One that may come too early is tried again for `patience_seconds`.
    """

    arguments: tuple[str, ...]
    allowed: frozenset[int] = frozenset({0})
    patience_seconds: float = 0
    environment: Mapping[str, str] = field(default_factory=dict)


class Manager(Protocol):
    """One service manager, as it serves one fleet. Programs go by their titles (`peer:amber`, `alerts`)."""

    def __init__(self, fleet: str, folder: StateFolder) -> None: ...

    @staticmethod
    def is_usual() -> bool:
        """Whether it is what this machine's own services run with."""

    def files(self, programs: Iterable[Program]) -> list[File]: ...

    def reload(self) -> list[Command]:
        """After files have changed, before anything starts."""

    def enable(self) -> list[Command]:
        """So that the fleet starts with the machine."""

    def disable(self) -> list[Command]: ...

    def start(self, titles: Sequence[str], others: Collection[str]) -> list[Command]:
        """What has never been started, or has been stopped. `others` are the programs that the manager has already."""

    def stop(self, titles: Sequence[str], others: Collection[str]) -> list[Command]:
        """`others` are those that stay; without any, all of the fleet goes."""

    def processes(self, titles: Iterable[str]) -> list[ProcessState]:
        """Those of the programs that the manager knows. Raises ManagerError."""

    def caveats(self) -> list[str]:
        """What keeps the fleet from outliving a log-out or a reboot, each with its remedy, in one line."""


def discover() -> dict[str, type[Manager]]:
    """Each manager's class by its name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").Manager for name in names}
