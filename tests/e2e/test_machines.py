"""Three machines and one watcher: network namespaces with an address each, joined by a cable that can be cut.

The clock of one machine is an hour ahead, that of another half an hour; nothing on the latter listens for the network:
it pushes.
"""

import contextlib
import gzip
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
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
from exporter.machine.push_format import PUSH_PATH, Push, render
from fleet.configuration.load import load_file
from fleet.processes.files import configurations, make_folders, write
from fleet.processes.programs import plan_programs
from grafana.prometheus import configuration
from tests.alerts.engines import prometheus
from tests.architecture import ROOT
from tests.certificates import write_certificate
from tests.fakes import Webhook, get, reserve_ports, wait_for
from tests.programs import go_without, require

NETWORK = "10.213.77"
WATCHER = f"{NETWORK}.1"
MACHINES = {"rack-1": f"{NETWORK}.11", "rack-2": f"{NETWORK}.12", "rack-3": f"{NETWORK}.13"}
# One name is on two machines.
PEERS = {"rack-1": ("amber", "basalt"), "rack-2": ("amber", "cobalt"), "rack-3": ("dolomite", "elmwood")}
NAMES = {"amber", "basalt", "amber@rack-2", "cobalt", "dolomite", "elmwood"}
PUSHES = "rack-3"
# By how many seconds the clock of every program there is off: not behind, as the kernel's clock, by which a process
# starts, is this machine's.
CLOCKS = {"rack-2": 3600, "rack-3": 1800}
SET_CLOCK = """
import os, time
_time, _lead = time.time, float(os.environ["CLOCK_LEAD"])
time.time = lambda: _time() + _lead
"""
LOGIN = ("operator", "a long password")
CLOCK_FIRES = ("ClockSkew", "firing")

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


def remove_leftovers() -> None:
    """Ends the networks of test runs that were killed: their bridges have the same addresses."""
    listed = subprocess.check_output([require("ip"), "-o", "link"], text=True)
    spaces = subprocess.check_output(["ip", "netns", "list"], text=True)
    bridges = re.findall(r"\b(pw(\d+)b):", listed)
    for words, name, pid in [
        *(("link", bridge, pid) for bridge, pid in bridges),
        *(("netns", space, pid) for space, pid in re.findall(r"^(pw(\d+)-\S+)", spaces, re.MULTILINE)),
    ]:
        if not psutil.pid_exists(int(pid)):
            run(words, "del", name)


@contextmanager
def network() -> Iterator[str]:
    """A bridge with the watcher's address and one namespace for each machine; their names begin with what it yields."""
    require("ip")
    if os.geteuid():
        go_without("needs root for network namespaces")
    mark = f"pw{os.getpid()}"
    remove_leftovers()
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
        (self.folder / "sitecustomize.py").write_text(SET_CLOCK)
        clock = {"PYTHONPATH": str(self.folder), "CLOCK_LEAD": str(CLOCKS.get(self.name, 0))}
        with (self.folder / f"{title}.log").open("wb") as log:
            self.processes[title] = subprocess.Popen(
                words, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=os.environ | clock
            )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        words = ["ip", "netns", "exec", self.space, sys.executable, *command]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)

    def write(self, script: Path) -> None:
        """The fleet's file, and the trainers that somebody else has started there."""
        peers = [self.start_trainer(peer, script) for peer in PEERS[self.name]]
        content = {"fleet": self.name, "state_dir": "state", "sidecar_interval": "0.5s", "peers": peers}
        self.file.write_text(yaml.safe_dump(content))

    def start_trainer(self, peer: str, script: Path) -> dict[str, Any]:
        """How the fleet's file has it."""
        folder = self.folder / peer
        folder.mkdir(parents=True)
        self.start(peer, str(script), str(folder))
        reader = {"jsonl": {"path": str(folder / "log.jsonl")}}
        find = {"pid_file": str(folder / "pid")}
        return {"name": peer, "kind": "attached", "find": find, "progress": [reader], "stall": {"floor": "6s"}}

    def change_peers(self, *, without: str = "", more: dict[str, Any] | None = None) -> list[str]:
        """Changes the list in the fleet's file and starts what is new; what is to be ended then, by title."""
        content = yaml.safe_load(self.file.read_text())
        content["peers"] = [one for one in content["peers"] if one["name"] != without] + ([more] if more else [])
        self.file.write_text(yaml.safe_dump(content))
        gone = [title for title in self.processes if title in (f"sidecar:{without}", "push")]
        for title in gone:
            self.processes[f"old {title}"] = self.processes.pop(title)
        self.start_sidecars()
        return [f"old {title}" for title in gone]

    def end_sidecars(self) -> None:
        self.end_some([title for title in self.processes if title.startswith(("sidecar:", "push"))])

    def end_some(self, titles: Iterable[str]) -> None:
        for title in titles:
            process = self.processes.pop(title)
            process.kill()
            process.wait()

    def start_sidecars(self) -> None:
        """The sidecars as `peerwatch up` starts them; the rest of a fleet is not needed here."""
        loaded = load_file(self.file)
        assert loaded.is_usable, loaded.lines()
        assert loaded.config is not None
        make_folders(loaded.folder, loaded.peers)
        for path, text in configurations(loaded.composition, loaded.folder).values():
            write(path, text)
        for program in plan_programs(loaded.config, loaded.peers, loaded.folder, "test", base=loaded.base):
            if program.group in ("sidecar", "push") and program.title not in self.processes:
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
        with httpx.Client(verify=False, auth=LOGIN, trust_env=False) as client:
            return dict(client.get(f"{self.url}/api/status", timeout=20).raise_for_status().json())

    def firing(self) -> set[tuple[str, str]]:
        """Without the clocks, which are off all the time."""
        found = {(one["rule"], one["peer"]) for one in self.alerts() if one["state"] == "firing"}
        return {(rule, peer) for rule, peer in found if rule != "ClockSkew"}

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
        titles = [one.title for one in self.webhook.messages[before:]]
        return [title for title in titles if "PeerStalled" not in title and "ClockSkew" not in title]


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
        "login": dict(zip(("user", "password"), LOGIN, strict=True)),
        "interval": "1s",
        "timeout": "1s",
        "charts": False,
        # What happens next is a message of its own.
        "grouping": {"wait": "1s", "interval": "1s"},
        "routes": [{"name": "hook", "url": webhook.url}],
        "rules": {
            "HostDown": {"unreachable_after": "4s", "for": "0s", "recover_after": "1s"},
            "PeerDown": {"unreachable_after": "6s", "for": "2s", "recover_after": "1s"},
            "ClockSkew": {"for": "2s"},
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
            joined = machine.run(*words, "--name", machine.name, *(["--push"] if machine.name == PUSHES else []))
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


def test_a_clock_that_is_off_is_told_and_changes_nothing_else(watcher: Watcher) -> None:
    skewed = lambda: {one["peer"] for one in watcher.alerts() if (one["rule"], one["state"]) == CLOCK_FIRES}  # noqa: E731
    wait_for(lambda: skewed() == set(CLOCKS), 60, "both clocks are told")
    wait_for(lambda: all(peer["state"] == "training" for peer in watcher.status()["peers"]), 60, "every peer trains")
    assert not watcher.firing()
    for peer in watcher.status()["peers"]:
        assert abs(time.time() - peer["last_step_timestamp"]) < 15.0, peer
    summaries = {one["peer"]: one["summary"] for one in watcher.alerts()}
    assert re.match(r"Its clock is (1 h|59 min .*) ahead", summaries["rack-2"])
    assert re.match(r"Its clock is (30 min|29 min .*) ahead", summaries["rack-3"])


@pytest.mark.parametrize(("machine", "peer"), [("rack-1", "amber"), ("rack-3", "dolomite")], ids=["asked", "pushes"])
def test_a_cut_cable_is_one_alert_of_the_machine(
    machines: dict[str, Machine], watcher: Watcher, machine: str, peer: str
) -> None:
    wait_for(lambda: not watcher.firing(), 60, "nothing fires")
    before = len(watcher.webhook.messages)
    space = machines[machine].space
    run("-n", space, "link", "set", "eth0", "down")
    try:
        wait_for(lambda: ("HostDown", machine) in watcher.firing(), 60, "the machine is missed")
        wait_for(lambda: ("PeerDown", peer) in watcher.firing(), 60, "its peers are, too")
    finally:
        run("-n", space, "link", "set", "eth0", "up")
    wait_for(lambda: not watcher.firing(), 60, "it is back")
    wait_for(lambda: len(watcher.said(before)) >= 2, 30, "both messages")
    assert watcher.said(before) == [f"HostDown: {machine}", f"Resolved: HostDown: {machine}"]


def test_a_wrong_certificate_and_a_wrong_password_are_one_alert_each(
    machines: dict[str, Machine], watcher: Watcher
) -> None:
    wait_for(lambda: not watcher.firing(), 60, "nothing fires")
    before, kept = len(watcher.webhook.messages), {}
    for name in ("rack-1", "rack-2"):
        outside = machines[name].folder / "state" / "outside"
        kept[name] = {path: path.read_bytes() for path in outside.iterdir()}
    certificate, key = write_certificate(machines["rack-1"].folder / "other")
    (machines["rack-1"].folder / "state" / "outside" / "certificate.pem").write_bytes(certificate.read_bytes())
    (machines["rack-1"].folder / "state" / "outside" / "key.pem").write_bytes(key.read_bytes())
    (machines["rack-2"].folder / "state" / "outside" / "login").write_text("watcher:not the one that it knows\n")
    for name in kept:
        machines[name].end_sidecars()
        machines[name].start_sidecars()
    reasons = {"rack-1": "its certificate is not trusted", "rack-2": "it answered 401"}

    def is_told() -> bool:
        told = {one["peer"]: one["summary"] for one in watcher.alerts() if one["rule"] == "HostDown"}
        return all(reason in told.get(name, "") for name, reason in reasons.items())

    try:
        wait_for(is_told, 60, "neither is taken for the machine")
    finally:
        for name, files in kept.items():
            for path, content in files.items():
                path.write_bytes(content)
            machines[name].end_sidecars()
            machines[name].start_sidecars()
    wait_for(lambda: not watcher.firing(), 60, "they are back")
    wait_for(lambda: sum(title.count("rack-") for title in watcher.said(before)) >= 4, 30, "all is told")
    assert all("PeerDown" not in title for title in watcher.said(before))
    assert len(watcher.said(before)) <= 4


def test_other_peers_of_a_machine_are_taken_up_without_a_message(
    machines: dict[str, Machine], watcher: Watcher
) -> None:
    wait_for(lambda: not watcher.firing(), 60, "nothing fires")
    before = len(watcher.webhook.messages)
    asked, pushes = machines["rack-2"], machines[PUSHES]
    asked_gone = asked.change_peers(without="cobalt")
    pushes_gone = pushes.change_peers(more=pushes.start_trainer("garnet", pushes.folder.parent / "trainer.py"))
    wait_for(lambda: watcher.peers() == NAMES - {"cobalt"} | {"garnet"}, 60, "the peers are those that there are")
    asked.end_some(asked_gone)
    pushes.end_some(pushes_gone)
    wait_for(lambda: {one["state"] for one in watcher.status()["peers"]} == {"training"}, 60, "all train")
    assert watcher.said(before) == []


def test_prometheus_reads_every_machine_through_the_watcher(watcher: Watcher, tmp_path: Path) -> None:
    access = {
        "basic_auth": dict(zip(("username", "password"), LOGIN, strict=True)),
        "tls_config": {"insecure_skip_verify": True},
    }
    configured = configuration(watcher.url, interval_seconds=1, access=access)
    configured.pop("rule_files")
    server = prometheus(tmp_path, configured, "")
    server.start()

    def ask(query: str) -> dict[tuple[str, str], float]:
        answer = get(f"{server.url}/api/v1/query", params={"query": query}).json()["data"]["result"]
        return {(one["metric"]["machine"], one["metric"]["peer"]): float(one["value"][1]) for one in answer}

    expected = {(peer["machine"], peer["peer"]) for peer in watcher.status()["peers"]}
    assert {machine for machine, _ in expected} == set(MACHINES)
    try:
        wait_for(lambda: ask('up{machine!=""} == 1').keys() == expected, 60, "every sidecar is read")
        assert ask("trainer_up").keys() == expected
        # By the watcher's clock.
        ages = ask("time() - trainer_last_step_timestamp_seconds")
        assert ages.keys() == expected
        assert all(-5.0 < age < 30.0 for age in ages.values()), ages
    finally:
        server.stop()


def test_bad_pushes_are_refused_and_nobody_is_told(machines: dict[str, Machine], watcher: Watcher) -> None:
    before = len(watcher.webhook.messages)
    machine = machines[PUSHES]
    _, _, password = (machine.folder / "state" / "outside" / "login").read_text().strip().partition(":")
    replayed = render(Push(1, ("dolomite",), {"dolomite": b"trainer_up 0\n"}))
    endless = (bytes(1 << 20) for _ in range(50))
    wrong: list[tuple[str, str, Any, int]] = [
        (PUSHES, password, replayed, 409),
        (PUSHES, password, gzip.compress(bytes(50 << 20)), 413),
        (PUSHES, password, endless, 413),
        (PUSHES, "not the one", replayed, 401),
        ("rack-1", password, replayed, 401),
        ("stranger", "", replayed, 401),
    ]
    with httpx.Client(verify=False, trust_env=False, timeout=20) as client:
        for name, given, body, status in wrong:
            headers = {"Content-Encoding": "gzip"}
            with contextlib.suppress(httpx.WriteError):
                answer = client.post(f"{watcher.url}{PUSH_PATH}", content=body, auth=(name, given), headers=headers)
                assert answer.status_code == status, (name, status, answer.text)
        page = client.get(f"{watcher.url}/metrics", auth=LOGIN).text
    assert f'alerts_pushes_total{{machine="{PUSHES}",result="replayed"}}' in page
    assert f'alerts_pushes_total{{machine="{PUSHES}",result="too_large"}}' in page
    assert 'alerts_pushes_total{machine="",result="unauthorized"}' in page
    # Nothing there can be asked.
    for port in (9700, 9800, 9801):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((MACHINES[PUSHES], port), 5)
    assert not watcher.firing()
    assert watcher.said(before) == []


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
