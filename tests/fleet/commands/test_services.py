"""`peerwatch services` where it refuses: one line each, with the remedy, and nothing changed."""

import json
import os
from pathlib import Path

import pytest

from exporter.system.process_identity import identify
from fleet.state_folder import StateFolder
from fleet.supervision.foreground import locked
from fleet.supervision.installed import Installed, write_installed
from tests import warm
from tests.fleet.conftest import ports_text

ROOT = Path(__file__).parents[3]


def services(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit status, and all that is printed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(folder)}
    result = warm.run("fleet", "services", *arguments, folder=folder, environment=environment)
    return result.returncode, result.stdout + result.stderr


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """The state folder of the configuration in `tmp_path`."""
    (tmp_path / "peerwatch.yaml").write_text("fleet: attic\nstate_dir: state\n" + ports_text(1))
    return StateFolder(tmp_path / "state")


def record(state: StateFolder) -> None:
    """As if the fleet was installed, stopped."""
    state.services.mkdir(parents=True)
    titles = ("leaderboard", "alerts", "peer:attic-0", "sidecar:attic-0")
    write_installed(state, Installed("supervisor", "attic", "nobody", "0.1.0", titles))


def test_a_fleet_that_is_not_installed(state: StateFolder, tmp_path: Path) -> None:
    message = "peerwatch: fleet attic is not installed; run `peerwatch services install`\n"
    for command in ("status", "logs", "uninstall", "stop"):
        assert services(tmp_path, command) == (2, message)


def test_the_demo_cannot_be_installed(tmp_path: Path) -> None:
    status, output = services(tmp_path, "install")
    assert status == 2
    assert output == "peerwatch: no peerwatch.yaml in this folder; `peerwatch init` writes one, -f names another\n"


def test_another_manager_has_to_be_left_first(state: StateFolder, tmp_path: Path) -> None:
    record(state)
    status, output = services(tmp_path, "install", "--manager", "systemd", "--dry-run")
    assert status == 2
    assert output == "peerwatch: fleet attic is installed with supervisor; run `peerwatch services uninstall` first\n"


def test_nothing_is_installed_beside_up(state: StateFolder, tmp_path: Path) -> None:
    with locked(state):
        status, output = services(tmp_path, "install", "--manager", "supervisor")
    assert status == 2
    assert "a fleet is already running in" in output
    assert not state.services.exists()


def test_a_dry_run_beside_up_says_that_the_fleet_runs_rather_than_that_its_ports_are_taken(
    state: StateFolder, tmp_path: Path
) -> None:
    state.root.mkdir()
    # As `up` writes it, of a process that runs.
    state.run_record.write_text(json.dumps(identify().as_record()))
    status, output = services(tmp_path, "install", "--manager", "supervisor", "--dry-run")
    assert (status, output.count("\n")) == (2, 1)
    assert f"a fleet is already running in {state.root} (pid {os.getpid()}); stop it first" in output


def test_a_broken_configuration_can_be_stopped_and_not_installed(state: StateFolder, tmp_path: Path) -> None:
    record(state)
    with (tmp_path / "peerwatch.yaml").open("a") as file:
        file.write("trainers: {}\n")
    status, output = services(tmp_path, "install")
    assert status == 2
    assert "unknown key; did you mean trainer?" in output
    assert services(tmp_path, "stop")[0] == 0
    status, output = services(tmp_path, "status")
    assert status == 1
    assert "peer:attic-0     stopped\n" in output


def test_an_unknown_program(state: StateFolder, tmp_path: Path) -> None:
    record(state)
    status, output = services(tmp_path, "restart", "attic-7")
    assert status == 2
    assert output == (
        "peerwatch: fleet attic has no attic-7; its programs: leaderboard, alerts, peer:attic-0, sidecar:attic-0\n"
    )


def test_a_secret_with_a_line_break_is_refused(
    state: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hunter2\nX=1")
    status, output = services(tmp_path, "install", "--manager", "supervisor", "--dry-run")
    assert (status, "hunter2" in output) == (2, False)
    assert output == "peerwatch: the environment variable HF_TOKEN contains a line break; install cannot write it\n"


@pytest.mark.parametrize("command", ["install", "uninstall", "start", "stop", "restart", "status", "logs"])
def test_each_explains_itself_with_an_example(tmp_path: Path, command: str) -> None:
    status, output = services(tmp_path, command, "--help")
    assert status == 0
    assert f"Example: peerwatch services {command}" in output
