"""What installing, changing and removing services takes: the plans, without a service manager."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.managers import Command, File
from fleet.processes.files import RunError
from fleet.processes.programs import Program, group_and_name
from fleet.processes.state import ProcessState
from fleet.state_folder import StateFolder
from fleet.supervision import service_plan
from fleet.supervision.installed import Installed, digest, read_installed, write_installed
from fleet.supervision.service_plan import Machine
from fleet.supervision.steps import Record, Remove, Run, Settle, Step, Write

FOLDER = StateFolder(Path("/state"))
UNITS = Path("/units")


class Plain:
    """A service manager whose commands are their own descriptions."""

    def __init__(self, fleet: str, folder: StateFolder) -> None: ...

    @staticmethod
    def is_usual() -> bool:
        return False

    def files(self, programs: Iterable[Program]) -> list[File]:
        return []

    def reload(self) -> list[Command]:
        return [Command(("reload",))]

    def enable(self) -> list[Command]:
        return []

    def disable(self) -> list[Command]:
        return []

    def start(self, titles: Sequence[str], others: Collection[str]) -> list[Command]:
        return [Command(("start", *titles))]

    def stop(self, titles: Sequence[str], others: Collection[str]) -> list[Command]:
        return [Command(("stop", *titles, *(() if others else ("everything",))))]

    def processes(self, titles: Iterable[str]) -> list[ProcessState]:
        return []

    def caveats(self) -> list[str]:
        return []


MANAGER = Plain("attic", FOLDER)


def unit(title: str, text: str = "old") -> File:
    return File(UNITS / title, text, frozenset({title}))


def installed(*files: File) -> Installed:
    titles = tuple(file.path.name for file in files)
    return Installed("plain", "attic", "0", "1", titles, (), {str(one.path): digest(one.text) for one in files})


def machine(*files: File, **states: str) -> Machine:
    """The files on the disk, and `title=state` of what the manager knows; else a program runs."""
    known = {file.path.name: "RUNNING" for file in files} | states
    return Machine(
        {file.path: file.text for file in files}, {title: _state(title, how) for title, how in known.items()}
    )


def _state(title: str, how: str) -> ProcessState:
    state, _, code = how.partition(" ")
    return ProcessState(*group_and_name(title), state, 7 if state == "RUNNING" else 0, int(code or 0), "/log")


def described(steps: Iterable[Step]) -> list[str]:
    """One line for each step, without the records."""
    lines = []
    for step in steps:
        match step:
            case Run(command):
                lines.append(" ".join(command.arguments))
            case Write(file):
                lines.append(f"write {file.path.name}")
            case Remove(path):
                lines.append(f"remove {path.name}")
            case Settle(titles):
                lines.append(f"settle {' '.join(titles)}")
            case Record():
                pass
    return lines


def plan(files: list[File], before: Installed | None, now: Machine) -> list[str]:
    return described(service_plan.install(MANAGER, installed(*files), files, before, now))


def test_a_first_install_writes_and_starts_everything() -> None:
    files = [unit("a"), unit("b")]
    assert plan(files, None, Machine({}, {})) == ["write a", "write b", "reload", "settle a b", "start a b"]


def test_a_second_install_does_nothing() -> None:
    files = [unit("a"), unit("b")]
    assert service_plan.install(MANAGER, installed(*files), files, installed(*files), machine(*files)) == []


def test_only_what_has_changed_is_restarted() -> None:
    old = [unit("a"), unit("b")]
    new = [unit("a"), unit("b", "new")]
    assert plan(new, installed(*old), machine(*old)) == ["stop b", "settle b", "write b", "reload", "start b"]


def test_a_file_that_two_read_restarts_both() -> None:
    shared = File(UNITS / "template", "old", frozenset({"a", "b"}))
    files = [unit("a"), unit("b"), unit("c")]
    before = replace(installed(*files), files=installed(*files, shared).files)
    target = replace(before, files=installed(*files, replace(shared, text="new")).files)
    now = Machine(machine(*files).texts | {shared.path: "old"}, machine(*files).states)
    steps = service_plan.install(MANAGER, target, [*files, replace(shared, text="new")], before, now)
    assert described(steps) == ["stop a b", "settle a b", "write template", "reload", "start a b"]


def test_a_peer_that_is_gone_is_stopped_and_removed() -> None:
    old = [unit("a"), unit("b")]
    assert plan(old[:1], installed(*old), machine(*old)) == ["stop b", "settle b", "remove b", "reload"]


def test_a_finished_run_stays_finished_and_what_has_failed_gets_another_try() -> None:
    files = [unit("a"), unit("b"), unit("c")]
    now = machine(*files, a="EXITED 100", b="EXITED 2", c="BACKOFF 1")
    assert plan(files, installed(*files), now) == ["stop b", "settle b", "start b"]


def test_an_upgrade_restarts_everything() -> None:
    files = [unit("a"), unit("b")]
    before = replace(installed(*files), version="0")
    assert plan(files, before, machine(*files)) == ["stop a b everything", "settle a b", "start a b"]


def test_an_install_that_was_cut_short_goes_on() -> None:
    files = [unit("a"), unit("b")]
    before = replace(installed(*files), pending=("b",))
    assert plan(files, before, machine(*files)) == ["stop b", "settle b", "start b"]


def test_a_file_of_the_users_is_named_and_kept() -> None:
    mine, before = unit("a", "mine"), installed(unit("a"))
    assert service_plan.edited([unit("a", "new")], before, machine(mine), FOLDER) == [
        "/units/a was changed manually; move your change to a separate file (a drop-in), or overwrite it with --force"
    ]
    assert service_plan.edited([unit("a", "new")], None, machine(mine), FOLDER) == [
        "/units/a exists and does not belong to this fleet; --force overwrites it"
    ]
    assert service_plan.edited((), before, machine(mine), FOLDER) != []
    assert service_plan.edited([unit("a", "new")], before, machine(unit("a")), FOLDER) == []


def test_removing_leaves_what_the_fleet_has_earned() -> None:
    config = File(FOLDER.peer("x") / "trainer.yaml", "", frozenset({"a"}))
    secret = File(FOLDER.environment_file("alerts"), "", frozenset({"a"}))
    before = replace(installed(unit("a")), files=installed(unit("a"), config, secret).files)
    assert described(service_plan.uninstall(MANAGER, before, machine(unit("a")), FOLDER)) == [
        "stop a everything",
        "settle a",
        "remove a",
        "remove alerts.env",
        "reload",
    ]


def test_starting_leaves_alone_what_runs() -> None:
    now = machine(unit("a"), unit("b"), b="STOPPED")
    assert described(service_plan.start(MANAGER, ["a", "b"], now)) == ["stop b", "settle b", "start b"]


def test_the_record_is_read_back(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.services.mkdir()
    record = replace(installed(unit("a")), manager="systemd", pending=("a",))
    write_installed(folder, record)
    assert read_installed(folder) == record
    assert folder.service_record.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"manager": "openrc"}'])
def test_a_broken_record_is_one_line(tmp_path: Path, text: str) -> None:
    folder = StateFolder(tmp_path)
    folder.services.mkdir()
    folder.service_record.write_text(text)
    with pytest.raises(RunError, match=r"^cannot read .*installed\.json"):
        read_installed(folder)
