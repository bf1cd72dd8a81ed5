"""systemd units: what systemd itself says of them, and what they hold."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.configuration.load import Loaded, load_text
from fleet.managers import File
from fleet.managers.systemd import Manager, quote
from fleet.processes.files import read_peer_ids
from fleet.processes.systemctl import parse_show
from fleet.supervision.deployment import plan_deployment
from tests.programs import require

TWO_PEERS = "fleet: attic\npeers: [{name: amber, memory_limit: 2GiB}, {name: basalt.x-1}]\n"


@pytest.fixture(autouse=True)
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "a config 100%"))
    return tmp_path / "a config 100%" / "systemd" / "user"


def units_of(loaded: Loaded) -> dict[str, File]:
    """The files of the manager by what follows the folder of units."""
    _, files = plan_deployment(loaded, "systemd", None, read_peer_ids(loaded.folder, loaded.peers))
    home = Path(os.environ["XDG_CONFIG_HOME"]) / "systemd" / "user"
    return {str(file.path.relative_to(home)): file for file in files if file.path.is_relative_to(home)}


def install(units: dict[str, File]) -> None:
    for file in units.values():
        file.path.parent.mkdir(parents=True, exist_ok=True)
        file.path.write_text(file.text)


OF_TWO = ("trainer@amber", "sidecar@amber", "trainer@basalt.x-1", "sidecar@basalt.x-1")


def verify(folder: Path, *of_peers: str) -> str:
    """systemd's warnings; it exits with 0 on a misspelt key, so only empty output is OK."""
    analyze = require("systemd-analyze")
    services = (f"-{kind}.service" for kind in (*of_peers, "leaderboard", "alerts"))
    names = [".target", "-logs.timer", "-logs.service", *services]
    paths = [folder / f"peerwatch-attic{name}" for name in names]
    command = [analyze, "--user", "--man=no", "verify", *paths]
    # A short path, as other packages' units put sockets there.
    with tempfile.TemporaryDirectory(dir="/tmp") as runtime:
        environment = os.environ | {"XDG_RUNTIME_DIR": runtime, "SYSTEMD_UNIT_PATH": f"{folder}:"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("place", ["state", 'a 50% $HOME ${X} %n "é\\x"'])
def test_systemd_has_no_warning_about_the_units(tmp_path: Path, config_home: Path, place: str) -> None:
    loaded = load_text(TWO_PEERS, "peerwatch.yaml", tmp_path, tmp_path / place)
    loaded.folder.root.mkdir(parents=True)
    install(units_of(loaded))
    assert verify(config_home, *OF_TWO) == ""


def test_systemd_warns_of_a_misspelt_key(load: Callable[[str], Loaded], config_home: Path) -> None:
    loaded = load(TWO_PEERS)
    loaded.folder.root.mkdir(parents=True)
    units = units_of(loaded)
    install(units)
    alerts = config_home / "peerwatch-attic-alerts.service"
    alerts.write_text(alerts.read_text().replace("RestartSec", "RestartSecs"))
    assert "'RestartSecs' in section" in verify(config_home, *OF_TWO)


def test_a_peer_has_its_own_drop_in_with_its_limits(load: Callable[[str], Loaded]) -> None:
    units = units_of(load(TWO_PEERS))
    amber = units["peerwatch-attic-trainer@amber.service.d/10-peerwatch.conf"]
    basalt = units["peerwatch-attic-trainer@basalt.x-1.service.d/10-peerwatch.conf"]
    assert "MemoryHigh=2147483648\nMemoryMax=2576980377\n" in amber.text
    assert "Memory" not in basalt.text
    assert amber.read_by == {"peer:amber"}
    assert units["peerwatch-attic-trainer@.service"].read_by == {"peer:amber", "peer:basalt.x-1"}


def test_an_attached_peer_starts_with_the_fleet_and_has_no_trainer(
    load: Callable[[str], Loaded], config_home: Path
) -> None:
    loaded = load("fleet: attic\npeers: [{name: amber}, {name: dune, kind: attached, find: {pid_file: dune.pid}}]\n")
    loaded.folder.root.mkdir(parents=True)
    units = units_of(loaded)
    assert "Wants=peerwatch-attic-peer@dune.target\n" in units["peerwatch-attic.target"].text
    wanted = [line for line in units["peerwatch-attic-peer@dune.target"].text.splitlines() if "Wants" in line]
    assert wanted == ["Wants=peerwatch-attic-sidecar@%i.service"]
    assert units["peerwatch-attic-sidecar@.service"].read_by == {"sidecar:amber", "sidecar:dune"}
    assert units["peerwatch-attic-trainer@.service"].read_by == {"peer:amber"}
    install(units)
    assert verify(config_home, "trainer@amber", "sidecar@amber", "sidecar@dune") == ""


def test_what_has_finished_and_what_is_misconfigured_is_not_started_again(load: Callable[[str], Loaded]) -> None:
    for name in ("trainer@", "sidecar@", "alerts", "leaderboard"):
        text = units_of(load(TWO_PEERS))[f"peerwatch-attic-{name}.service"].text
        assert "Restart=always\n" in text
        assert "RestartPreventExitStatus=2 100 101\n" in text
        assert "SuccessExitStatus=100\n" in text


def test_no_unit_holds_a_secret(load: Callable[[str], Loaded], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    monkeypatch.setenv("HF_TOKEN", "hf_hunter2")
    monkeypatch.setenv("LOGIN", "page_hunter2")
    routes, login = "[{name: hook, url: 'json://${TOKEN}@127.0.0.1:1/'}]", "{user: ann, password: '${LOGIN}'}"
    loaded = load(f"{TWO_PEERS}alerts: {{routes: {routes}, login: {login}}}\n")
    assert loaded.is_usable, loaded.lines()
    _, files = plan_deployment(loaded, "systemd", None, read_peer_ids(loaded.folder, loaded.peers))
    holders = {file.path.name: file.mode for file in files if "hunter2" in file.text}
    assert holders == {"alerts.env": 0o600, "peer.env": 0o600}
    alerts = next(file.text for file in files if file.path.name == "alerts.env")
    assert "LOGIN=page_hunter2\n" in alerts
    assert "HF_TOKEN" not in alerts


def test_a_path_that_a_unit_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="unprintable"):
        quote("a\nb")


def test_the_answer_of_systemctl_is_read_unit_by_unit() -> None:
    text = "Id=a.service\nActiveState=active\nMainPID=12\n\nId=b.service\nActiveState=failed\nExecMainStatus=2\n"
    assert list(parse_show(text)) == [
        {"Id": "a.service", "ActiveState": "active", "MainPID": "12"},
        {"Id": "b.service", "ActiveState": "failed", "ExecMainStatus": "2"},
    ]


def test_units_are_in_the_user_managers_search_path(load: Callable[[str], Loaded], config_home: Path) -> None:
    target = units_of(load(TWO_PEERS))["peerwatch-attic.target"]
    assert target.path.parent == config_home
    assert "Wants=peerwatch-attic-peer@basalt.x-1.target\n" in target.text
    assert Manager("attic", load(TWO_PEERS).folder).processes([]) == []
