"""Four machines and one watcher: network namespaces with an address each, joined by a cable that can be cut.

Two push, as nothing there listens for the network; one of them is behind NAT. Each machine's clock is off, by an hour
or half of it, two of them ahead and two behind.
"""

import contextlib
import gzip
import json
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from exporter.machine.machine_file import MACHINE_FILE
from exporter.machine.push_format import PUSH_PATH, Push, render
from grafana.prometheus import configuration
from tests.alerts.engines import prometheus
from tests.architecture import ROOT
from tests.certificates import write_certificate
from tests.e2e.namespaces import (
    BEHIND_NAT,
    CLOCKS,
    DISK_BYTES,
    MACHINES,
    NAMES,
    PUSHING,
    SMALL_DISK,
    TRAINER,
    WATCHER,
    Machine,
    network,
    small_disk,
)
from tests.e2e.watcher import LOGIN, Watcher
from tests.fakes import Webhook, get, reserve_ports, wait_for

PUSHES = PUSHING[0]
CLOCK_FIRES = ("ClockSkew", "firing")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux'")


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
            if name == SMALL_DISK:
                stack.enter_context(small_disk(folder / name))
            stack.callback(found[name].end)
            if name == BEHIND_NAT:
                found[name].connect()
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
        "timeout": "2s",
        "charts": False,
        # What happens next is a message of its own.
        "grouping": {"wait": "1s", "interval": "1s"},
        "routes": [{"name": "hook", "url": webhook.url}],
        "rules": {
            "HostDown": {"unreachable_after": "6s", "for": "0s", "recover_after": "1s"},
            "PeerDown": {"unreachable_after": "8s", "for": "2s", "recover_after": "1s"},
            "ClockSkew": {"for": "2s"},
            "DiskLow": {"for": "1s", "recover_after": "1s", "least_gib": 0.02, "fraction": 0},
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
            joined = machine.run(*words, "--name", machine.name, *(["--push"] if machine.name in PUSHING else []))
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
    wait_for(lambda: skewed() == set(CLOCKS), 60, "the clocks are told")
    wait_for(lambda: all(peer["state"] == "training" for peer in watcher.status()["peers"]), 60, "every peer trains")
    assert not watcher.firing()
    for peer in watcher.status()["peers"]:
        assert abs(time.time() - peer["last_step_timestamp"]) < 15.0, peer
    summaries = {one["peer"]: one["summary"] for one in watcher.alerts()}
    assert re.match(r"Its clock is (1 h|59 min .*) ahead", summaries["rack-2"])
    assert re.match(r"Its clock is (30 min|29 min .*) ahead", summaries["rack-3"])
    for machine in ("rack-1", BEHIND_NAT):
        assert re.match(r"Its clock is 1 h.* behind", summaries[machine])


@pytest.mark.parametrize(
    ("machine", "peer"),
    [("rack-1", "amber"), ("rack-3", "dolomite"), (BEHIND_NAT, "fluorite")],
    ids=["asked", "pushes", "behind NAT"],
)
def test_a_cut_cable_is_one_alert_of_the_machine(
    machines: dict[str, Machine], watcher: Watcher, machine: str, peer: str
) -> None:
    wait_for(lambda: not watcher.firing(), 60, "nothing fires")
    before = len(watcher.webhook.messages)
    machines[machine].cut()
    try:
        wait_for(lambda: ("HostDown", machine) in watcher.firing(), 60, "the machine is missed")
        wait_for(lambda: ("PeerDown", peer) in watcher.firing(), 60, "its peers are, too")
    finally:
        machines[machine].connect()
    wait_for(lambda: not watcher.firing(), 60, "it is back")
    wait_for(lambda: len(watcher.said(before)) >= 2, 30, "both messages")
    assert watcher.said(before) == [f"HostDown: {machine}", f"Resolved: HostDown: {machine}"]


def test_a_full_disk_is_one_alert_of_its_machine(machines: dict[str, Machine], watcher: Watcher) -> None:
    wait_for(lambda: not watcher.firing(), 60, "nothing fires")
    before = len(watcher.webhook.messages)
    ballast = machines[SMALL_DISK].folder / "ballast"
    ballast.write_bytes(bytes(DISK_BYTES - (10 << 20)))
    try:
        wait_for(watcher.firing, 60, "something fires")
        (found,) = [one for one in watcher.alerts() if one["rule"] == "DiskLow"]
        assert found["peer"] == SMALL_DISK
        assert re.search(rf"free on the disk of {machines[SMALL_DISK].folder}/state; ", found["summary"])
    finally:
        ballast.unlink()
    wait_for(lambda: not watcher.firing(), 60, "there is room again")
    wait_for(lambda: len(watcher.said(before)) >= 2, 30, "both messages")
    assert watcher.said(before) == [f"DiskLow: {SMALL_DISK}", f"Resolved: DiskLow: {SMALL_DISK}"]


def test_a_stall_behind_nat_is_told_though_nobody_gets_in(machines: dict[str, Machine], watcher: Watcher) -> None:
    wait_for(lambda: not watcher.firing(), 60, "nothing fires")
    machine, before = machines[BEHIND_NAT], len(watcher.webhook.messages)
    # Something that would answer anybody.
    machine.start("open", "-m", "http.server", "9800", "--bind", "0.0.0.0")
    asked = f"import socket; socket.create_connection(('{MACHINES[BEHIND_NAT]}', 9800), 2)"
    wait_for(lambda: machine.run("-c", asked).returncode == 0, 20, "it answers on the machine itself")
    assert machines["rack-1"].run("-c", asked).returncode
    for address in (WATCHER, MACHINES[BEHIND_NAT]):
        with closing(socket.socket()) as stranger:
            stranger.settimeout(5)
            if address != WATCHER:
                # The watcher's network.
                device = machine.space.removesuffix(f"-{BEHIND_NAT}") + "b"
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            with pytest.raises(OSError, match=r"refused|No route|timed out"):
                stranger.connect((address, 9800))
    peer = psutil.Process(int((machine.folder / "fluorite" / "pid").read_text()))
    peer.suspend()
    try:
        wait_for(lambda: ("PeerStalled", "fluorite") in watcher.firing(), 60, "the stall is seen")
        wait_for(lambda: "PeerStalled: fluorite" in watcher.titles(before), 30, "it is told")
    finally:
        peer.resume()
    wait_for(lambda: "Resolved: PeerStalled: fluorite" in watcher.titles(before), 60, "its end is told")
    assert watcher.said(before) == []


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
            # It may be refused and cut off before all of it is sent.
            with contextlib.suppress(httpx.WriteError, httpx.ReadError):
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
