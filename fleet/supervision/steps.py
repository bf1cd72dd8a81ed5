"""The steps to install, change and remove a fleet's services: printed by a dry run, or executed."""

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fleet.managers import Command, File, Manager
from fleet.processes.files import RunError, make_private, write
from fleet.processes.leftovers import end
from fleet.processes.owner import owned_by, owner_of
from fleet.processes.programs import group_and_name
from fleet.processes.state import ManagerError, ProcessState
from fleet.state_folder import StateFolder
from fleet.supervision.installed import Installed, write_installed

# Longer than any service manager waits before SIGKILL.
_SETTLE_SECONDS = 25.0


@dataclass(frozen=True)
class Write:
    file: File


@dataclass(frozen=True)
class Remove:
    path: Path


@dataclass(frozen=True)
class Run:
    command: Command


@dataclass(frozen=True)
class Settle:
    """Waits until stopped programs have exited, ends their leftover processes, and clears their start records."""

    titles: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """Writes the record of what is installed; None removes it."""

    installed: Installed | None


Step = Write | Remove | Run | Settle | Record


@dataclass(frozen=True)
class Site:
    """Where steps are executed."""

    folder: StateFolder
    manager: Manager
    owner: str


def describe(step: Step, folder: StateFolder, *, is_whole: bool) -> Iterator[str]:
    """The lines to print; `is_whole` adds the content of the manager's files. Of secrets, only the names."""
    match step:
        case Write(file):
            yield f"write {file.path}"
            if not is_whole:
                return
            if file.path.suffix == ".env":
                yield from (f"    {name}=…" for name in names_in(file.text))
            elif not file.path.is_relative_to(folder.root) or file.path.is_relative_to(folder.services):
                yield from (f"    {line}".rstrip() for line in file.text.splitlines())
        case Remove(path):
            yield f"remove {path}"
        case Run(command):
            yield f"run {shlex.join(command.arguments)}"
        case Settle(titles):
            if is_whole:
                yield f"wait for these to exit, and end their leftover processes: {', '.join(titles)}"
        case Record():
            return


def names_in(text: str) -> list[str]:
    return [line.partition("=")[0] for line in text.splitlines() if "=" in line and not line.startswith("#")]


def take(step: Step, site: Site) -> None:
    """Raises RunError where a command fails or a file cannot be written."""
    try:
        match step:
            case Write(file):
                _write(file, site.folder)
            case Remove(path):
                _remove(path)
            case Run(command):
                run(command)
            case Settle(titles):
                _settle(titles, site)
            case Record(installed):
                _record(installed, site.folder)
    except OSError as error:
        raise RunError(f"{error.filename or 'cannot continue'}: {error.strerror}") from None


def _write(file: File, folder: StateFolder) -> None:
    if file.path.is_relative_to(folder.root):
        make_private(file.path.parent)
    else:
        file.path.parent.mkdir(parents=True, exist_ok=True)
    write(file.path, file.text, file.mode)


def _remove(path: Path) -> None:
    """With its drop-in folder, if that is empty then."""
    path.unlink(missing_ok=True)
    if path.parent.suffix == ".d":
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def run(command: Command) -> None:
    deadline = time.monotonic() + command.patience_seconds
    while True:
        try:
            result = subprocess.run(
                command.arguments,
                env=os.environ | command.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RunError(f"cannot run `{shlex.join(command.arguments)}`: {error}") from None
        if result.returncode in command.allowed:
            return
        if time.monotonic() >= deadline:
            output = (result.stderr.strip() or result.stdout.strip() or "no output").splitlines()[-1]
            raise RunError(f"`{shlex.join(command.arguments)}` failed ({result.returncode}): {output}")
        time.sleep(0.5)


def _settle(titles: tuple[str, ...], site: Site) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline and any(process.is_active for process in _known(site, titles)):
        time.sleep(0.2)
    for title in titles:
        group, name = group_and_name(title)
        end(owned_by(owner_of(site.owner, group, name)), grace_seconds=2)
        site.folder.launch_record(group, name).unlink(missing_ok=True)


def _known(site: Site, titles: tuple[str, ...]) -> list[ProcessState]:
    with contextlib.suppress(ManagerError):
        return site.manager.processes(titles)
    return []


def _record(installed: Installed | None, folder: StateFolder) -> None:
    if installed is None:
        folder.service_record.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.services.rmdir()
    else:
        make_private(folder.services)
        write_installed(folder, installed)
