"""What is wrong within a state folder is told by `check` and by `up`, in one line each."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.configuration.checks import Machine, check
from fleet.configuration.load import load_text
from fleet.processes.files import RunError
from fleet.supervision.foreground import Fleet
from tests import warm
from tests.fleet.conftest import ports_text


def _broken_identity(state: Path) -> None:
    (state / "peers" / "a-0").mkdir(parents=True, mode=0o700)
    (state / "peers" / "a-0" / "identity.pem").write_text("x")


def _folder(path: Path) -> None:
    path.mkdir(parents=True)
    path.parent.chmod(0o700)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a file for the peers": (lambda state: (state / "peers").touch(), "s/peers is no folder"),
    "a file for the alert loop": (lambda state: (state / "alerts").touch(), "s/alerts is no folder"),
    "a folder for the alert states": (
        lambda state: _folder(state / "alerts" / "alerts.sqlite"),
        "where a file belongs",
    ),
    "a folder for the board": (
        lambda state: _folder(state / "leaderboard" / "board.sqlite"),
        "board.sqlite is a folder",
    ),
    "a folder for a log": (lambda state: _folder(state / "peers" / "a-0" / "trainer.log"), "trainer.log is a folder"),
    "a pipe": (lambda state: os.mkfifo(state / "push"), "s/push is no folder"),
    "a link to nowhere": (lambda state: (state / "launches").symlink_to("nowhere"), "s/launches is no folder"),
    "a folder of everybody": (lambda state: state.chmod(0o777), "s can be written to by other users"),
    "an identity that is none": (_broken_identity, "identity.pem is not a libp2p RSA private key"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_wrong_within_the_state_folder_is_told(tmp_path: Path, name: str) -> None:
    damage, words = DAMAGE[name]
    (tmp_path / "s").mkdir(mode=0o700)
    loaded = load_text("fleet: a\nstate_dir: s\n", "peerwatch.yaml", tmp_path)
    check(loaded, Machine(2**34, 2), is_running=True)
    assert loaded.lines() == []
    damage(tmp_path / "s")
    loaded = load_text("fleet: a\nstate_dir: s\n", "peerwatch.yaml", tmp_path)
    check(loaded, Machine(2**34, 2), is_running=True)
    (line,) = loaded.lines()
    assert line.startswith("peerwatch.yaml:2: state_dir: ")
    assert words in line


def test_a_fleet_whose_folder_holds_a_file_ends_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir(mode=0o700)
    (tmp_path / "s" / "peers").touch()
    (tmp_path / "peerwatch.yaml").write_text(f"fleet: a\nstate_dir: s\n{ports_text()}")
    done = warm.run("fleet", "up", "-f", str(tmp_path / "peerwatch.yaml"))
    assert done.returncode == 2
    assert "s/peers is no folder; remove it, or set another `state_dir`" in done.stderr


def test_a_file_that_appears_after_the_check_ends_a_start_with_a_line(tmp_path: Path) -> None:
    loaded = load_text("fleet: a\nstate_dir: s\n", "peerwatch.yaml", tmp_path)
    fleet = Fleet(loaded)
    (tmp_path / "s").mkdir(mode=0o700)
    (tmp_path / "s" / "peers").touch()
    with pytest.raises(RunError, match=r"s/peers/a-0/.*: Not a directory"):
        fleet.write()
