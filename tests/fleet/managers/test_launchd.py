"""launchd's property lists, the commands that act on them against a stand-in launchctl, and the shell in front."""

import json
import os
import plistlib
import signal
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.configuration.load import Loaded
from fleet.managers import File
from fleet.managers.launchd import Manager, parse_list
from fleet.processes.files import read_peer_ids
from fleet.processes.programs import Program
from fleet.state_folder import StateFolder
from fleet.supervision.deployment import plan_deployment
from tests import earlier_services, warm
from tests.fakes import wait_for
from tests.fleet.conftest import ports_text
from tests.programs import require

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
TWO_PEERS = "fleet: attic\npeers: [{name: amber, memory_limit: 2GiB}, {name: birch}]\n"

# launchd.plist(5) of macOS 14, as far as it is used here.
TYPES: dict[str, type] = {
    "Label": str,
    "ProgramArguments": list,
    "EnvironmentVariables": dict,
    "WorkingDirectory": str,
    "StandardOutPath": str,
    "StandardErrorPath": str,
    "RunAtLoad": bool,
    "KeepAlive": dict,
    "ThrottleInterval": int,
    "ExitTimeOut": int,
    "ProcessType": str,
    "Umask": int,
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "Ann B 100%"))
    return tmp_path / "Ann B 100%"


def agents_of(loaded: Loaded) -> dict[str, File]:
    _, files = plan_deployment(loaded, "launchd", None, read_peer_ids(loaded.folder, loaded.peers))
    return {file.path.name: file for file in files if file.path.suffix == ".plist"}


def test_every_key_is_one_that_launchd_knows_with_a_value_of_its_type(load: Callable[[str], Loaded]) -> None:
    agents = agents_of(load(TWO_PEERS))
    rotation = plistlib.loads(agents.pop("peerwatch.attic.logs.plist").text.encode())
    assert {key: type(value) for key, value in rotation.items()}.items() <= {**TYPES, "StartInterval": int}.items()
    assert len(agents) == 6
    for name, file in agents.items():
        agent: dict[str, Any] = plistlib.loads(file.text.encode())
        assert {key: type(value) for key, value in agent.items()} == TYPES
        assert f"{agent['Label']}.plist" == name
        assert all(isinstance(one, str) for one in agent["ProgramArguments"])
        assert all(isinstance(value, str) for value in agent["EnvironmentVariables"].values())
        assert agent["KeepAlive"] == {"SuccessfulExit": False}
        assert agent["ProcessType"] == ("Standard" if ".peer." in name else "Background")
        # launchd refuses a property list that others can write to.
        assert file.mode & (stat.S_IWGRP | stat.S_IWOTH) == 0


def test_plistutil_reads_what_is_written(load: Callable[[str], Loaded], tmp_path: Path) -> None:
    plistutil = require("plistutil")
    for name, file in agents_of(load(TWO_PEERS)).items():
        (tmp_path / name).write_text(file.text)
        binary = tmp_path / "binary"
        subprocess.run([plistutil, "-i", str(tmp_path / name), "-o", str(binary)], check=True)
        assert binary.read_bytes().startswith(b"bplist")
        assert plistlib.loads(binary.read_bytes()) == plistlib.loads(file.text.encode())


def test_agents_lie_in_the_users_library_and_hold_no_secret(
    load: Callable[[str], Loaded], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    agents = agents_of(load(TWO_PEERS + "alerts: {routes: [{name: hook, url: 'json://${TOKEN}@127.0.0.1:1/'}]}\n"))
    assert {file.path.parent for file in agents.values()} == {home / "Library" / "LaunchAgents"}
    assert not [name for name, file in agents.items() if "hunter2" in file.text]


def test_the_table_of_jobs_is_read() -> None:
    text = "PID\tStatus\tLabel\n-\t0\tcom.apple.x\n473\t-9\tpeerwatch.attic.alerts\n-\t78\tpeerwatch.attic.peer.a.b\n"
    assert parse_list(text) == {
        "com.apple.x": (0, 0),
        "peerwatch.attic.alerts": (473, -9),
        "peerwatch.attic.peer.a.b": (0, 78),
    }


class Mac:
    """`peerwatch services` with the stand-in launchctl on its PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs_file = folder / "launchctl.json"

    def services(self, *arguments: str, status: int = 0) -> str:
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "PATH": f"{HERE}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "STAND_IN_STATE": str(self.jobs_file),
        }
        result = warm.run("fleet", "services", *arguments, folder=self.folder, environment=environment)
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout + result.stderr

    def configure(self, text: str) -> None:
        (self.folder / "peerwatch.yaml").write_text(text)

    def jobs(self) -> set[str]:
        return set(json.loads(self.jobs_file.read_text())["jobs"])

    def take_calls(self) -> list[str]:
        """The calls that changed something since the last call."""
        state = json.loads(self.jobs_file.read_text())
        calls = [" ".join(call) for call in state["calls"] if call[0] != "list"]
        self.jobs_file.write_text(json.dumps(state | {"calls": []}))
        return calls


def test_agents_are_installed_changed_and_removed(tmp_path: Path) -> None:
    mac, base = Mac(tmp_path), TWO_PEERS + "state_dir: state\n" + ports_text()
    agents = tmp_path / "Library" / "LaunchAgents"
    mac.configure(base)
    mac.services("install", "--manager", "launchd")
    labels = {path.stem for path in agents.iterdir()}
    assert mac.jobs() == labels
    assert len(labels) == 7
    domain = f"gui/{os.getuid()}"
    assert mac.take_calls()[0] == f"bootstrap {domain} {agents}/peerwatch.attic.leaderboard.plist"

    assert "up to date" in mac.services("install")
    assert mac.take_calls() == []
    assert mac.services("status").count(" running, pid ") == 6

    mac.configure(base.replace("2GiB", "3GiB"))
    mac.services("install")
    sidecar = f"bootstrap {domain} {agents}/peerwatch.attic.sidecar.amber.plist"
    # The limit is the sidecar's alone; launchd has not let go of it at the first attempt.
    assert mac.take_calls() == [f"bootout {domain}/peerwatch.attic.sidecar.amber", sidecar, sidecar]

    mac.configure(base.replace(", {name: birch}", "").replace("2GiB", "3GiB"))
    mac.services("install")
    gone = {"peerwatch.attic.peer.birch", "peerwatch.attic.sidecar.birch"}
    assert mac.jobs() == labels - gone == {path.stem for path in agents.iterdir()}
    assert {f"bootout {domain}/{label}" for label in gone} <= set(mac.take_calls())

    mac.services("stop")
    assert mac.jobs() == set()
    assert "stopped" in mac.services("status", status=1)
    mac.services("start", "amber")
    assert mac.jobs() == {"peerwatch.attic.peer.amber", "peerwatch.attic.sidecar.amber", "peerwatch.attic.logs"}
    mac.services("uninstall")
    assert mac.jobs() == set()
    assert not list(agents.iterdir())


def test_agents_that_name_modules_which_have_moved_are_replaced_once(tmp_path: Path) -> None:
    mac = Mac(tmp_path)
    agents = tmp_path / "Library" / "LaunchAgents"
    mac.configure(TWO_PEERS + "state_dir: state\n" + ports_text())
    mac.services("install", "--manager", "launchd")
    jobs = mac.jobs()
    earlier_services.main(StateFolder(tmp_path / "state"))
    mac.take_calls()
    assert "note: Peerwatch or the configuration has changed" in mac.services("status")

    mac.services("install")

    domain = f"gui/{os.getuid()}"
    calls = Counter(mac.take_calls())
    # launchd has not let go of a job at the first attempt.
    assert calls == Counter(
        {f"bootout {domain}/{label}": 1 for label in jobs}
        | {f"bootstrap {domain} {agents}/{label}.plist": 2 for label in jobs}
    )
    assert mac.jobs() == jobs == {path.stem for path in agents.iterdir()}
    assert not [path for path in agents.iterdir() if earlier_services.names_earlier_module(path.read_text())]
    assert "note: Peerwatch" not in mac.services("status")


def test_a_domain_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    mac = Mac(tmp_path)
    mac.configure("fleet: attic\nstate_dir: state\n" + ports_text(1))
    (tmp_path / "launchctl").write_text("#!/bin/sh\necho 'Could not find domain' >&2; exit 125\n")
    (tmp_path / "launchctl").chmod(0o755)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    options = ("services", "install", "--manager", "launchd")
    result = warm.run("fleet", *options, folder=tmp_path, environment=environment)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "peerwatch: launchctl does not answer: Could not find domain; log in at the screen of this Mac\n"
    )


@pytest.fixture
def agent(tmp_path: Path) -> Callable[[str], list[str]]:
    """The command that launchd runs, for a program of one line of Python."""
    folder = StateFolder(tmp_path / "Application Support")
    folder.launches.mkdir(parents=True)

    def agent(code: str) -> list[str]:
        program = Program("peer", "amber", (sys.executable, "-u", "-c", code), folder.log("peer", "amber"))
        file, _ = Manager("attic", folder).files([program])
        arguments: list[str] = plistlib.loads(file.text.encode())["ProgramArguments"]
        return arguments

    return agent


@pytest.mark.parametrize(("code", "status"), [(0, 1), (1, 1), (2, 0), (100, 0), (101, 0)])
def test_only_a_final_exit_code_keeps_launchd_from_restarting_the_program(
    agent: Callable[[str], list[str]], tmp_path: Path, code: int, status: int
) -> None:
    command = agent(f"raise SystemExit({code})")
    assert subprocess.run(command, check=False).returncode == status
    assert (tmp_path / "Application Support" / "launches" / "peer-amber.exit").read_text() == f"{code}\n"


def test_a_killed_program_is_restarted(agent: Callable[[str], list[str]]) -> None:
    assert subprocess.run(agent("import os; os.kill(os.getpid(), 9)"), check=False, stderr=-3).returncode == 1


def test_the_program_gets_sigterm_and_time_to_exit(agent: Callable[[str], list[str]]) -> None:
    code = """
import signal, sys, time
def end(*_):
    time.sleep(0.5)
    print("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready")
time.sleep(60)
"""
    process = subprocess.Popen(agent(code), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    wait_for(lambda: process.poll() is not None, 20, "the shell ends after its program")
    assert process.stdout.read() == "saved\n"
    process.stdout.close()
