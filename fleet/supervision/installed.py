"""The record of a fleet's installed services, and the state of their programs."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fleet.managers import Manager, discover
from fleet.processes.files import RunError, write
from fleet.processes.launch import read_environment
from fleet.processes.owner import owned_by
from fleet.processes.state import ManagerError, ProcessState
from fleet.processes.supervisord import Control, ControlError
from fleet.state_folder import StateFolder
from fleet.supervision.foreground import is_up


@dataclass(frozen=True)
class Installed:
    """`files` holds the SHA-256 of each as it was written; `pending` are programs that still have to be restarted."""

    manager: str
    fleet: str
    owner: str
    version: str
    titles: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)

    def service_manager(self, folder: StateFolder) -> Manager:
        return discover()[self.manager](self.fleet, folder)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_installed(folder: StateFolder) -> Installed | None:
    """None if nothing is installed. Raises RunError if the record cannot be read."""
    try:
        record = json.loads(folder.service_record.read_text(encoding="utf-8"))
        record |= {key: tuple(map(str, record[key])) for key in ("titles", "pending")}
        installed = Installed(**record)
        installed.service_manager(folder)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        path: Path = folder.service_record
        raise RunError(
            f"cannot read {path}, the record of the installed services ({type(error).__name__}); "
            "if you delete it, stop and remove the services manually"
        ) from None
    return installed


def write_installed(folder: StateFolder, installed: Installed) -> None:
    write(folder.service_record, json.dumps(asdict(installed), indent=1) + "\n")


def service_environment(folder: StateFolder, group: str) -> dict[str, str]:
    """The environment file of a group of programs. Raises RunError."""
    path = folder.environment_file(group)
    try:
        return read_environment(path)
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def services_run(folder: StateFolder) -> bool:
    """Whether any process of the installed services is running, whatever their manager reports."""
    installed = read_installed(folder)
    return installed is not None and bool(owned_by(installed.owner))


def refuse_beside_services(folder: StateFolder) -> None:
    """Raises RunError while the fleet's services run: two trainers of one identity cannot join a swarm."""
    installed = read_installed(folder)
    if installed is not None and owned_by(installed.owner):
        raise RunError(
            f"fleet {installed.fleet} is running as services of {installed.manager}; "
            "run `peerwatch services stop` first, or use --state-dir"
        )


def processes(folder: StateFolder) -> list[ProcessState]:
    """The fleet's programs, under `up` or as services. Raises ControlError if neither runs."""
    installed = None if is_up(folder) else read_installed(folder)
    if installed is None:
        return Control(folder.socket).processes()
    try:
        found = installed.service_manager(folder).processes(installed.titles)
    except ManagerError as error:
        raise ControlError(str(error)) from None
    if all(process.state == "STOPPED" for process in found):
        raise ControlError(f"the services of fleet {installed.fleet} are stopped")
    return found
