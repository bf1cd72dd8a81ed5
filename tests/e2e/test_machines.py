"""Three machines and one watcher: network namespaces with an address each, joined by a cable that can be cut."""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from exporter.machine.machine_file import MACHINE_FILE
from fleet.configuration.load import load_file
from fleet.processes.files import configurations, make_folders, write
from fleet.processes.programs import plan_programs
from tests.architecture import ROOT
from tests.certificates import write_certificate
from tests.fakes import Webhook, reserve_ports, wait_for
from tests.programs import go_without, require

NETWORK = "10.213.77"
WATCHER = f"{NETWORK}.1"
MACHINES = {"rack-1": f"{NETWORK}.11", "rack-2": f"{NETWORK}.12", "rack-3": f"{NETWORK}.13"}
# One name is on two machines.
PEERS = {"rack-1": ("amber", "basalt"), "rack-2": ("amber", "cobalt"), "rack-3": ("dolomite", "elmwood")}
NAMES = {"amber", "basalt", "amber@rack-2", "cobalt", "dolomite", "elmwood"}

TRAINER = """
import json, os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
(folder / "pid").write_text(str(os.getpid()))
with (folder / "log.jsonl").open("a", buffering=1) as log:
    step = 0
    while True:
        step += 1
        log.write(json.dumps({"step": step, "time": time.time(), "loss": 0.5}) + "\\n")
        time.sleep(0.2)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux'")


def run(*words: str) -> None:
    subprocess.run([require("ip"), *words], check=True, capture_output=True)


@contextmanager
def network() -> Iterator[str]:
    """A bridge with the watcher's address and one namespace for each machine; their names begin with what it yields."""
    require("ip")
    if os.geteuid():
        go_without("needs root for network namespaces")
    mark = f"pw{os.getpid() % 100000}"
    with ExitStack() as stack:
        run("link", "add", f"{mark}b", "type", "bridge")
        stack.callback(subprocess.run, ["ip", "link", "del", f"{mark}b"], check=False)
        run("addr", "add", f"{WATCHER}/24", "dev", f"{mark}b")
        run("link", "set", f"{mark}b", "up")
        for number, (machine, address) in enumerate(MACHINES.items()):
            space = f"{mark}-{machine}"
            run("netns", "add", space)
            stack.callback(subprocess.run, ["ip", "netns", "del", space], check=False)
            run("link", "add", f"{mark}v{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
            run("link", "set", f"{mark}v{number}", "master", f"{mark}b", "up")
            run("-n", space, "link", "set", "lo", "up")
            run("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            run("-n", space, "link", "set", "eth0", "up")
        yield mark


@dataclass
class Machine:
    """One machine: its folder, its fleet's file, and the processes that run on it."""

    name: str
    space: str
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.folder / "peerwatch.yaml"

    def start(self, title: str, *command: str) -> None:
        words = ["ip", "netns", "exec", self.space, sys.executable, *command]
        with (self.folder / f"{title}.log").open("wb") as log:
            self.processes[title] = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        words = ["ip", "netns", "exec", self.space, sys.executable, *command]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)

    def write(self, script: Path) -> None:
        """The fleet's file, and the trainers that somebody else has started there."""
        peers = []
        for peer in PEERS[self.name]:
            folder = self.folder / peer
            folder.mkdir(parents=True)
            self.start(peer, str(script), str(folder))
            reader = {"jsonl": {"path": str(folder / "log.jsonl")}}
            find = {"pid_file": str(folder / "pid")}
            stall = {"floor": "6s"}
            peers.append({"name": peer, "kind": "attached", "find": find, "progress": [reader], "stall": stall})
        content = {"fleet": self.name, "state_dir": "state", "sidecar_interval": "0.5s", "peers": peers}
        self.file.write_text(yaml.safe_dump(content))

    def start_sidecars(self) -> None:
        """The sidecars as `peerwatch up` starts them; the rest of a fleet is not needed here."""
        loaded = load_file(self.file)
        assert loaded.is_usable, loaded.lines()
        assert loaded.config is not None
        make_folders(loaded.folder, loaded.peers)
        for path, text in configurations(loaded.composition, loaded.folder).values():
            write(path, text)
        for program in plan_programs(loaded.config, loaded.peers, loaded.folder, "test", base=loaded.base):
            if program.group == "sidecar":
                words = list(program.command)
                self.start(program.title, *words[words.index("-m", words.index("--") if "--" in words else 0) :])

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()


@dataclass
class Watcher:
    """The alert loop that watches the machines."""

    url: str
    webhook: Webhook
    process: subprocess.Popen[bytes]

    def status(self) -> dict[str, Any]:
        with httpx.Client(verify=False, auth=("operator", "a long password"), trust_env=False) as client:
            return dict(client.get(f"{self.url}/api/status", timeout=20).raise_for_status().json())

    def firing(self) -> set[tuple[str, str]]:
        return {(one["rule"], one["peer"]) for one in self.alerts() if one["state"] == "firing"}

    def alerts(self) -> list[dict[str, Any]]:
        try:
            return list(self.status()["alerts"])
        except httpx.HTTPError:
            return []

    def peers(self) -> set[str]:
        try:
            return {peer["peer"] for peer in self.status()["peers"]}
        except httpx.HTTPError:
            return set()

    def said(self, before: int) -> list[str]:
        """The titles of the messages after the first `before`, without those of the stall that was tried."""
        return [one.title for one in self.webhook.messages[before:] if "PeerStalled" not in one.title]


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Machine]]:
    folder = tmp_path_factory.mktemp("machines")
    script = folder / "trainer.py"
    script.write_text(TRAINER)
    with network() as mark, ExitStack() as stack:
        found = {}
        for name in MACHINES:
            found[name] = Machine(name, f"{mark}-{name}", folder / name)
            (folder / name).mkdir()
            stack.callback(found[name].end)
            found[name].write(script)
        yield found


@pytest.fixture(scope="module")
def watcher(machines: dict[str, Machine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watcher]:
    folder = tmp_path_factory.mktemp("watcher")
    (port,) = reserve_ports(1)
    certificate, key = write_certificate(folder)
    webhook = Webhook()
    config = {
        "fleet": "all",
        "state_dir": str(folder / "state"),
        "listen": f"{WATCHER}:{port}",
        "tls": {"certificate": str(certificate), "key": str(key)},
        "login": {"user": "operator", "password": "a long password"},
        "interval": "1s",
        "timeout": "1s",
        "charts": False,
        "routes": [{"name": "hook", "url": webhook.url}],
        "rules": {
            "HostDown": {"unreachable_after": "4s", "for": "0s", "recover_after": "1s"},
            "PeerDown": {"unreachable_after": "6s", "for": "2s", "recover_after": "1s"},
            "DiskLow": {"enabled": False},
            "HostMemoryPressure": {"enabled": False},
        },
    }
    (folder / "alerts.yaml").write_text(yaml.safe_dump(config))
    with (folder / "alerts.log").open("wb") as log:
        words = [sys.executable, "-m", "alerts", "--config", str(folder / "alerts.yaml")]
        process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        token = folder / "state" / "join.token"
        wait_for(lambda: token.exists() or process.poll() is not None, 30, "the watcher has a token")
        assert process.poll() is None, (folder / "alerts.log").read_text()
        found = Watcher(f"https://{WATCHER}:{port}", webhook, process)
        wait_for(lambda: _answers(found), 30, "the watcher answers")
        for machine in machines.values():
            words = ["-m", "fleet", "join", found.url, "--token-file", str(token), "-f", str(machine.file)]
            joined = machine.run(*words, "--name", machine.name)
            assert joined.returncode == 0, joined.stderr
            wait_for(lambda: _answers(found), 30, "the watcher answers again")
            machine.start_sidecars()
        wait_for(lambda: found.peers() == NAMES, 60, "all peers are watched")
        yield found
    finally:
        process.terminate()
        process.wait()
        webhook.close()


def _answers(watcher: Watcher) -> bool:
    try:
        return bool(watcher.status())
    except httpx.HTTPError:
        return False


def test_every_peer_is_judged_and_a_stall_is_of_the_right_one(machines: dict[str, Machine], watcher: Watcher) -> None:
    steady = lambda: all(peer["state"] == "training" for peer in watcher.status()["peers"])  # noqa: E731
    wait_for(steady, 60, "every peer trains")
    pid = int((machines["rack-2"].folder / "amber" / "pid").read_text())
    psutil.Process(pid).suspend()
    try:
        wait_for(lambda: ("PeerStalled", "amber@rack-2") in watcher.firing(), 60, "the stall is seen")
        assert {peer for rule, peer in watcher.firing() if rule == "PeerStalled"} == {"amber@rack-2"}
    finally:
        psutil.Process(pid).resume()
    wait_for(lambda: not watcher.firing(), 60, "it is over")


def test_a_cut_cable_is_one_alert_of_the_machine(machines: dict[str, Machine], watcher: Watcher) -> None:
    wait_for(lambda: not watcher.firing(), 60, "nothing fires")
    before = len(watcher.webhook.messages)
    space = machines["rack-1"].space
    run("-n", space, "link", "set", "eth0", "down")
    try:
        wait_for(lambda: ("HostDown", "rack-1") in watcher.firing(), 60, "the machine is missed")
        wait_for(lambda: ("PeerDown", "amber") in watcher.firing(), 60, "its peers are, too")
    finally:
        run("-n", space, "link", "set", "eth0", "up")
    wait_for(lambda: not watcher.firing(), 60, "it is back")
    wait_for(lambda: len(watcher.said(before)) >= 2, 30, "both messages")
    assert watcher.said(before) == ["HostDown: rack-1", "Resolved: HostDown: rack-1"]


def test_a_machine_that_is_gone_is_one_alert(machines: dict[str, Machine], watcher: Watcher) -> None:
    wait_for(lambda: not watcher.firing(), 60, "nothing fires")
    before = len(watcher.webhook.messages)
    machines["rack-3"].end()
    wait_for(lambda: ("PeerDown", "dolomite") in watcher.firing(), 60, "its peers are missed")
    wait_for(lambda: watcher.said(before), 30, "its message")
    assert watcher.said(before) == ["HostDown: rack-3"]


def test_a_stranger_is_not_let_in(machines: dict[str, Machine], watcher: Watcher) -> None:
    outside = yaml.safe_load(machines["rack-2"].file.read_text())["outside"]
    trusted = ssl.create_default_context(cafile=outside["certificate"])
    trusted.check_hostname = False
    for path in ("/metrics", "/machine", "/"):
        with closing(HTTPSConnection(MACHINES["rack-2"], 9800, timeout=20, context=trusted)) as connection:
            connection.request("GET", path)
            assert connection.getresponse().status == 401
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{MACHINES['rack-2']}:9700/metrics", timeout=5, trust_env=False)
    machine = machines["rack-2"]
    (machine.folder / "forged").write_text("x" * 43 + "\n")
    words = [
        "-m",
        "fleet",
        "join",
        watcher.url,
        "--token-file",
        str(machine.folder / "forged"),
        "-f",
        str(machine.file),
    ]
    refused = machine.run(*words)
    assert refused.returncode == 1
    assert "certificate" in refused.stderr
    described = json.loads((machine.folder / "state" / MACHINE_FILE).read_text())
    assert described["machine"] == "rack-2"
