"""The user's own manager is asked, whoever's environment this shell was left with."""

import os
from pathlib import Path

import pytest

from fleet.processes import systemctl
from fleet.processes.state import ManagerError
from fleet.processes.systemctl import ask, environment, user

BUS = "DBUS_SESSION_BUS_ADDRESS"


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runtime folders of users, with this one's."""
    folder = tmp_path / "users"
    (folder / str(os.getuid())).mkdir(parents=True)
    monkeypatch.setattr(systemctl, "USERS", folder)
    return folder


def test_a_folder_of_this_user_is_believed(users: Path, tmp_path: Path) -> None:
    given = {"XDG_RUNTIME_DIR": str(tmp_path), BUS: "unix:path=/mine"}
    assert environment(given) == {"XDG_RUNTIME_DIR": str(tmp_path)}


@pytest.mark.parametrize("named", ["", "/run/user/none", "a file"])
def test_what_is_no_folder_gives_way_to_the_usual_one(users: Path, tmp_path: Path, named: str) -> None:
    (tmp_path / "a file").touch()
    given = {"XDG_RUNTIME_DIR": str(tmp_path / named) if named == "a file" else named}
    assert environment(given) == {"XDG_RUNTIME_DIR": str(users / str(os.getuid()))}


def test_without_any_the_usual_one_is_taken(users: Path) -> None:
    assert environment({}) == {"XDG_RUNTIME_DIR": str(users / str(os.getuid()))}


def test_a_folder_of_somebody_else_and_the_bus_in_it_are_not_believed(
    users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "users" / "0"
    theirs.mkdir(exist_ok=True)
    monkeypatch.setattr(os, "getuid", lambda: theirs.stat().st_uid + 4711)
    own = str(users / str(os.getuid()))
    given = {"XDG_RUNTIME_DIR": str(theirs), BUS: f"unix:path={theirs}/bus"}
    assert environment(given) == {"XDG_RUNTIME_DIR": own, BUS: f"unix:path={own}/bus"}


@pytest.mark.parametrize(("is_there", "remedy"), [(False, "sudo loginctl enable-linger"), (True, "machinectl shell")])
def test_a_manager_that_does_not_answer_is_explained_in_one_line(
    users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool, remedy: str
) -> None:
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'Failed to connect to user scope bus: Permission denied' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    if not is_there:
        (users / str(os.getuid())).rmdir()
    with pytest.raises(ManagerError) as refused:
        ask("show")
    message = str(refused.value)
    assert "Permission denied; " in message
    assert remedy in message
    assert user() in message
    assert "\n" not in message
