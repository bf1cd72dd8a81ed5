"""Services whose files name modules that have moved since: the next install moves them over, once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.configuration.load import Loaded
from fleet.managers import File, discover
from fleet.processes.files import read_peer_ids
from fleet.processes.programs import group_and_name
from fleet.processes.state import ProcessState
from fleet.supervision import service_plan
from fleet.supervision.deployment import is_current, plan_deployment
from fleet.supervision.installed import Installed, digest
from fleet.supervision.service_plan import Machine
from fleet.supervision.steps import Remove, Run, Settle, Write
from tests.earlier_services import make_earlier, names_earlier_module

ROTATION: dict[str, set[str]] = {
    "systemd": {"peerwatch-attic-logs.service"},
    "launchd": {"peerwatch.attic.logs.plist"},
    "supervisor": set(),
}


@pytest.fixture
def loaded(load: Callable[[str], Loaded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return load("fleet: attic\npeers: [{name: amber}, {name: birch}]\n")


def plan(loaded: Loaded, manager: str, before: Installed | None = None) -> tuple[Installed, list[File]]:
    return plan_deployment(loaded, manager, before, read_peer_ids(loaded.folder, loaded.peers))


def earlier(loaded: Loaded, manager: str) -> tuple[Installed, Machine]:
    """The record, the files and the running programs that an earlier version has left."""
    installed, files = plan(loaded, manager)
    texts: dict[Path, str | None] = {file.path: make_earlier(file.text) for file in files}
    states = {title: ProcessState(*group_and_name(title), "RUNNING", 7, 0, "/log") for title in installed.titles}
    written = {str(path): digest(text) for path, text in texts.items() if text is not None}
    return replace(installed, files=written), Machine(texts, states)


@pytest.mark.parametrize("manager", sorted(discover()))
def test_each_program_is_stopped_rewritten_and_started_once(loaded: Loaded, manager: str) -> None:
    before, machine = earlier(loaded, manager)
    stale = {path for path, text in machine.texts.items() if text and names_earlier_module(text)}
    target, files = plan(loaded, manager, before)
    assert not is_current(loaded, before)
    assert is_current(loaded, target)
    assert service_plan.edited(files, before, machine, loaded.folder) == []

    steps = service_plan.install(target.service_manager(loaded.folder), target, files, before, machine)

    assert {step.file.path for step in steps if isinstance(step, Write)} == stale
    assert {path.name for path in stale} >= ROTATION[manager]
    assert not [file.path for file in files if names_earlier_module(file.text)]
    assert not [step for step in steps if isinstance(step, Remove)]
    assert [step.titles for step in steps if isinstance(step, Settle)] == [target.titles]
    service = target.service_manager(loaded.folder)
    before_the_start = [*service.stop(target.titles, ()), *service.reload()]
    assert [step.command for step in steps if isinstance(step, Run)] == [
        *before_the_start,
        *service.enable(),
        *service.start(target.titles, ()),
    ]
