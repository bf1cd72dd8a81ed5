"""`peerwatch services`: a fleet that runs without a terminal, across log-outs and reboots."""

import os
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleet.configuration.load import Loaded
    from fleet.managers import Manager
    from fleet.processes.state import ProcessState
    from fleet.supervision.installed import Installed
    from fleet.supervision.service_plan import Machine
    from fleet.supervision.steps import Step

command = typer.Typer(
    help="Run the fleet as services of this machine, without root, across log-outs and reboots.",
    epilog="Example: peerwatch services install --dry-run",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class ManagerName(StrEnum):
    """A service manager."""

    systemd = "systemd"
    launchd = "launchd"
    supervisor = "supervisor"


File = Annotated[Path | None, typer.Option("-f", "--file", help="The fleet's configuration.")]
StateDir = Annotated[Path | None, typer.Option("--state-dir", help="Folder for all state.")]
By = Annotated[ManagerName | None, typer.Option("--manager", help="Default: this machine's own.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print every file and command; change nothing.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite or remove files that were changed manually.")]
Who = Annotated[str | None, typer.Argument(help="A peer, or a program such as alerts; default: the whole fleet.")]


@command.command("install")
def install(
    file: File = None, state_dir: StateDir = None, manager: By = None, dry_run: DryRun = False, force: Force = False
) -> int:
    """Install the fleet and start it. After a change or an upgrade, run it again: only what has changed restarts.

    Example: peerwatch services install --dry-run
    """
    from fleet.processes.files import make_folders, read_peer_ids
    from fleet.supervision import service_plan
    from fleet.supervision.deployment import plan_deployment
    from fleet.supervision.foreground import refuse_beside_up

    def run(loaded: "Loaded", before: "Installed | None") -> int:
        refuse_beside_up(loaded.folder)
        name = _manager_name(manager, before)
        if not _is_installable(loaded, before):
            return _explain(loaded)
        make_ids = read_peer_ids if dry_run else make_folders
        peer_ids = make_ids(loaded.folder, loaded.peers)
        target, files = plan_deployment(loaded, name, before, peer_ids)
        service_manager = target.service_manager(loaded.folder)
        paths = [file.path for file in files] + [Path(path) for path in (before.files if before else {})]
        machine = _machine(service_manager, target.titles + (before.titles if before else ()), paths)
        wrong = [] if force else service_plan.edited(files, before, machine, loaded.folder)
        if wrong:
            return _fail(*wrong)
        steps = service_plan.install(service_manager, target, files, before, machine)
        if not steps:
            print(f"fleet {target.fleet} is installed with {name} and up to date")
        _carry_out(steps, loaded, target, dry_run)
        if steps and not dry_run:
            print(f"fleet {target.fleet} is running as services of {name}; see `peerwatch services status`")
        _print_caveats(service_manager)
        return 0

    return _with_fleet(file, state_dir, run, is_alone=not dry_run)


@command.command("uninstall")
def uninstall(
    file: File = None, state_dir: StateDir = None, manager: By = None, dry_run: DryRun = False, force: Force = False
) -> int:
    """Stop the fleet and remove its services; identities, checkpoints, the board and logs stay.

    Example: peerwatch services uninstall
    """
    from fleet.supervision import service_plan

    def run(loaded: "Loaded", before: "Installed | None") -> int:
        installed = _installed(loaded, before, manager)
        service_manager = installed.service_manager(loaded.folder)
        machine = _machine(service_manager, installed.titles, map(Path, installed.files))
        wrong = [] if force else service_plan.edited((), installed, machine, loaded.folder)
        if wrong:
            return _fail(*wrong)
        _carry_out(
            service_plan.uninstall(service_manager, installed, machine, loaded.folder), loaded, installed, dry_run
        )
        if not dry_run:
            print(f"fleet {installed.fleet} is uninstalled; its files stay in {loaded.folder.root}")
        return 0

    return _with_fleet(file, state_dir, run, is_alone=not dry_run)


@command.command("start")
def start(
    who: Who = None, file: File = None, state_dir: StateDir = None, manager: By = None, dry_run: DryRun = False
) -> int:
    """Start what does not run, also after it was given up or has finished.

    Example: peerwatch services start attic-1
    """
    from fleet.supervision import service_plan

    return _act(who, file, state_dir, manager, dry_run, service_plan.start)


@command.command("stop")
def stop(
    who: Who = None, file: File = None, state_dir: StateDir = None, manager: By = None, dry_run: DryRun = False
) -> int:
    """Stop until the next start or reboot.

    Example: peerwatch services stop attic-1
    """
    from fleet.supervision import service_plan

    return _act(who, file, state_dir, manager, dry_run, service_plan.stop)


@command.command("restart")
def restart(
    who: Who = None, file: File = None, state_dir: StateDir = None, manager: By = None, dry_run: DryRun = False
) -> int:
    """Stop and start again.

    Example: peerwatch services restart alerts
    """
    from fleet.supervision import service_plan

    return _act(who, file, state_dir, manager, dry_run, service_plan.restart)


@command.command("status")
def status(file: File = None, state_dir: StateDir = None, manager: By = None) -> int:
    """Show each program of the installed fleet. Exit status 1 unless all run or have finished.

    Example: peerwatch services status
    """
    from fleet.console.view import service_line
    from fleet.supervision.deployment import is_current

    def run(loaded: "Loaded", before: "Installed | None") -> int:
        installed = _installed(loaded, before, manager)
        service_manager = installed.service_manager(loaded.folder)
        states = _machine(service_manager, installed.titles, ()).states
        print(f"fleet {installed.fleet}: services of {installed.manager}, Peerwatch {installed.version}")
        width = max(map(len, installed.titles))
        for title in installed.titles:
            print(f"{title:<{width}}  {service_line(states.get(title))}")
        if loaded.is_usable and not is_current(loaded, installed):
            print("note: Peerwatch or the configuration has changed; run `peerwatch services install`")
        _print_caveats(service_manager)
        return 0 if all(title in states and _is_well(states[title]) for title in installed.titles) else 1

    return _with_fleet(file, state_dir, run)


@command.command("logs")
def logs(
    who: Who = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Follow new lines.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="Lines of each log.")] = 20,
    file: Annotated[Path | None, typer.Option("--file", help="The fleet's configuration.")] = None,
    state_dir: StateDir = None,
) -> int:
    """Print the end of the logs.

    Example: peerwatch services logs attic-0 -f
    """
    from fleet.console.log_tail import print_logs
    from fleet.processes.programs import group_and_name

    def run(loaded: "Loaded", before: "Installed | None") -> int:
        installed = _installed(loaded, before, None)
        titles = _titles(who, installed)
        print_logs({title: loaded.folder.log(*group_and_name(title)) for title in titles}, lines, follow)
        return 0

    return _with_fleet(file, state_dir, run)


def _act(
    who: str | None,
    file: Path | None,
    state_dir: Path | None,
    manager: ManagerName | None,
    dry_run: bool,
    plan: "Callable[[Manager, list[str], Machine], Iterable[Step]]",
) -> int:
    def run(loaded: "Loaded", before: "Installed | None") -> int:
        installed = _installed(loaded, before, manager)
        service_manager = installed.service_manager(loaded.folder)
        machine = _machine(service_manager, installed.titles, ())
        _carry_out(list(plan(service_manager, _titles(who, installed), machine)), loaded, installed, dry_run)
        return 0

    return _with_fleet(file, state_dir, run, is_alone=not dry_run)


def _with_fleet(
    file: Path | None,
    state_dir: Path | None,
    run: "Callable[[Loaded, Installed | None], int]",
    *,
    is_alone: bool = False,
) -> int:
    """`is_alone`: excludes `up` and other commands that change something."""
    from contextlib import nullcontext

    from fleet.configuration.source import is_demo, load
    from fleet.processes.files import RunError
    from fleet.processes.state import ManagerError
    from fleet.supervision.foreground import end_earlier, locked
    from fleet.supervision.installed import read_installed

    os.umask(0o077)
    try:
        loaded = load(file, state_dir)
        if is_demo(loaded):
            return _fail("no peerwatch.yaml in this folder; `peerwatch init` writes one, -f names another")
        if loaded.config is None:
            return _explain(loaded)
        with locked(loaded.folder) if is_alone else nullcontext():
            if is_alone:
                end_earlier(loaded.folder)
            return run(loaded, read_installed(loaded.folder))
    except (ValueError, RunError) as error:
        return _fail(str(error))
    except ManagerError as error:
        return _fail(str(error), status=1)


def _manager_name(wanted: ManagerName | None, before: "Installed | None") -> str:
    from fleet.managers import discover
    from fleet.processes.files import RunError

    if before is not None:
        if wanted is not None and wanted.value != before.manager:
            raise RunError(
                f"fleet {before.fleet} is installed with {before.manager}; run `peerwatch services uninstall` first"
            )
        return before.manager
    if wanted is not None:
        return wanted.value
    return next((name for name, manager in discover().items() if manager.is_usual()), "supervisor")


def _installed(loaded: "Loaded", before: "Installed | None", wanted: ManagerName | None) -> "Installed":
    from fleet.processes.files import RunError

    assert loaded.config is not None
    if before is None:
        raise RunError(f"fleet {loaded.config.fleet} is not installed; run `peerwatch services install`")
    _manager_name(wanted, before)
    return before


def _is_installable(loaded: "Loaded", before: "Installed | None") -> bool:
    from fleet.configuration.checks import Machine, check
    from fleet.supervision.installed import service_environment, services_run

    environment = service_environment(loaded.folder, "alerts") | os.environ
    is_running = before is not None and services_run(loaded.folder)
    if loaded.is_usable:
        check(loaded, Machine.here(), is_running=is_running, environment=environment)
    return loaded.is_usable


def _machine(manager: "Manager", titles: Iterable[str], paths: Iterable[Path]) -> "Machine":
    from fleet.supervision.service_plan import Machine, read_texts

    states = {state.title: state for state in manager.processes(dict.fromkeys(titles))}
    return Machine(read_texts(paths), states)


def _titles(who: str | None, installed: "Installed") -> list[str]:
    """The programs of a peer, or the one of that title."""
    from fleet.processes.files import RunError

    if who is None:
        return list(installed.titles)
    found = [title for title in installed.titles if who in (title, title.partition(":")[2])]
    if not found:
        raise RunError(f"fleet {installed.fleet} has no {who}; its programs: {', '.join(installed.titles)}")
    return found


def _carry_out(steps: "Iterable[Step]", loaded: "Loaded", installed: "Installed", dry_run: bool) -> None:
    from fleet.supervision.steps import Site, describe, take

    site = Site(loaded.folder, installed.service_manager(loaded.folder), installed.owner)
    for step in steps:
        for line in describe(step, loaded.folder, is_whole=dry_run):
            print(line, flush=True)
        if not dry_run:
            take(step, site)


def _print_caveats(manager: "Manager") -> None:
    for line in manager.caveats():
        print(f"note: {line}")


def _is_well(state: "ProcessState") -> bool:
    return state.state in ("RUNNING", "STARTING") or state.is_finished


def _explain(loaded: "Loaded") -> int:
    for line in loaded.lines():
        print(line, file=sys.stderr)
    return 2


def _fail(*messages: str, status: int = 2) -> int:
    for message in messages:
        print(f"peerwatch: {message}", file=sys.stderr)
    return status
