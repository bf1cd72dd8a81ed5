"""Files, locks and leftovers of a fleet, with real processes."""

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml

from fleet.configuration.load import Loaded
from fleet.processes.owner import OWNER_VARIABLE
from fleet.state_folder import StateFolder
from fleet.supervision.foreground import Fleet, RunError, end_earlier, is_up, locked
from tests.programs import require
from trainer.swarm.identity import read_peer_id


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[" * 20000,
        "7",
        '{"pid": 1e999, "create_time": 1}',
        '{"pid": "x", "create_time": []}',
        "\x00",
        '{"owner": 3}',
    ],
)
def test_a_damaged_record_is_no_running_fleet(load: Callable[[str], Loaded], content: str) -> None:
    folder = load("fleet: a\n").folder
    folder.root.mkdir(parents=True, exist_ok=True)
    folder.run_record.write_text(content)
    assert not is_up(folder)
    assert end_earlier(folder) == 0


def test_a_folder_where_nothing_can_be_locked_is_not_a_running_fleet(
    load: Callable[[str], Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    folder = load("fleet: a\n").folder
    with pytest.raises(RunError, match=f"files in {folder.root} cannot be locked"), locked(folder):
        pass


def test_files_are_for_their_user_only_and_hold_no_secret(
    load: Callable[[str], Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    loaded = load("fleet: a\npeers: 2\nalerts: {routes: [{name: hook, url: 'json://${TOKEN}@127.0.0.1:1/'}]}\n")
    old = os.umask(0o022)
    try:
        Fleet(loaded).write()
    finally:
        os.umask(old)
    files = [path for path in loaded.folder.root.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {
        "alerts.yaml",
        "identity.pem",
        "leaderboard.yaml",
        "supervisord.conf",
        "trainer.yaml",
    }
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        assert b"hunter2" not in path.read_bytes()
    alerts = yaml.safe_load((loaded.folder.alerts / "alerts.yaml").read_text())
    assert [route["url"] for route in alerts["routes"]] == ["json://${TOKEN}@127.0.0.1:1/"]


def test_the_written_files_are_read_by_the_programs_own_loaders(load: Callable[[str], Loaded]) -> None:
    import alerts.config
    import exporter.leaderboard.config
    import trainer.config

    loaded = load("fleet: a\npeers: 2\nalerts: {reminder: 2h, rules: {PeerDown: {for: 5s}}}\n")
    Fleet(loaded).write()
    folder = loaded.folder
    leader = read_peer_id(folder.peer("a-0") / "identity.pem")
    follower = trainer.config.load_config(folder.peer("a-1") / "trainer.yaml")
    assert follower.swarm.initial_peers == [f"/ip4/127.0.0.1/tcp/38331/p2p/{leader}"]
    board = exporter.leaderboard.config.load(folder.leaderboard / "leaderboard.yaml")
    assert board.names[leader] == "a-0"
    loop = alerts.config.load(folder.alerts / "alerts.yaml")
    assert (loop.reminder, loop.rules.of("PeerDown").for_) == (7200, 5)


def test_prometheus_reads_its_files_with_this_fleets_rules(load: Callable[[str], Loaded]) -> None:
    rules = "{PeerDown: {for: 7s, severity: warning}, DiskLow: {enabled: false}}"
    loaded = load(f"fleet: a\nprometheus: {{scrape_interval: 5s}}\nalerts: {{rules: {rules}}}\n")
    loaded.prometheus = Path(require("prometheus"))
    Fleet(loaded).write()
    path = loaded.folder.prometheus / "prometheus.yaml"
    checked = subprocess.run([require("promtool"), "check", "config", str(path)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert yaml.safe_load(path.read_text())["global"]["scrape_interval"] == "5s"
    found = yaml.safe_load((loaded.folder.prometheus / "rules.yaml").read_text())["groups"][0]["rules"]
    by_name = {rule["alert"]: rule for rule in found}
    assert (by_name["PeerDown"]["for"], by_name["PeerDown"]["labels"]["severity"]) == ("7s", "warning")
    assert "DiskLow" not in by_name


def test_identities_outlive_a_run(load: Callable[[str], Loaded]) -> None:
    loaded = load("fleet: a\n")
    Fleet(loaded).write()
    identity = loaded.folder.peer("a-0") / "identity.pem"
    before = identity.read_bytes()
    Fleet(loaded).write()
    assert identity.read_bytes() == before


def test_a_second_fleet_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    with locked(folder):
        folder.run_record.write_text(json.dumps({"pid": 4711}))
        with pytest.raises(RunError, match=r"already running in .* \(pid 4711\)"), locked(folder):
            pass
    with locked(folder):
        pass


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(RunError, match="can be written to by other users"), locked(StateFolder(tmp_path)):
        pass


def test_leftovers_of_an_earlier_run_are_ended_and_nothing_else(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    owner = f"run-{os.getpid()}"
    sleep = [sys.executable, "-c", "import time; time.sleep(300)"]
    ours = subprocess.Popen(sleep, env=os.environ | {OWNER_VARIABLE: f"{owner}/peer:a"}, start_new_session=True)
    other = subprocess.Popen(sleep, env=os.environ | {OWNER_VARIABLE: f"{owner}x/peer:a"})
    try:
        created = psutil.Process(ours.pid).create_time()
        record = {
            "pid": ours.pid,
            "create_time": created - 100,
            "owner": owner,
            "supervisord_pid": other.pid,
            "supervisord_create_time": created - 100,
        }
        folder.run_record.write_text(json.dumps(record))
        assert not is_up(folder)
        assert end_earlier(folder) == 1
        assert not psutil.pid_exists(ours.pid)
        assert other.poll() is None
        assert end_earlier(folder) == 0
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


@pytest.mark.parametrize("record", ["", "[]", "{", '{"owner": 3}', '{"pid": "x", "owner": ""}'])
def test_a_broken_record_ends_nothing(tmp_path: Path, record: str) -> None:
    folder = StateFolder(tmp_path)
    folder.run_record.write_text(record)
    assert end_earlier(folder) == 0
    assert not is_up(folder)


def test_a_long_state_folder_keeps_its_socket_elsewhere() -> None:
    assert StateFolder(Path("/short")).socket == Path("/short/supervisor.sock")
    long = StateFolder(Path("/x" * 60)).socket
    assert len(str(long)) < 90
    assert long.parent.name == f"peerwatch-{os.getuid()}"
    assert long != StateFolder(Path("/y" * 60)).socket
