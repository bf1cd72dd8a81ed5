"""A machine that pushes: its real process, the real alert loop, and whoever else sends something to its address."""

import base64
import contextlib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from alerts.machines.membership import NO_PORT, write_membership
from exporter.machine.push_file import PUSH_FILE, PushDescription
from exporter.machine.push_format import PUSH_PATH, Push, render
from tests.alerts.conftest import ROOT, AlertLoop, Sidecar
from tests.certificates import write_certificate
from tests.fakes import LOOPBACK, get, reserve_ports, wait_for
from tests.programs import require

PASSWORD = "s3cret" * 6
LOGIN = ("operator", "a long password")


@dataclass
class Site:
    """Both ends: the alert loop, and the machine with its sidecars and its pushing process."""

    folder: Path
    loop: AlertLoop
    sidecars: dict[str, Sidecar]
    certificate: Path
    process: subprocess.Popen[bytes] | None = None
    context: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        self.context = ssl.create_default_context(cafile=self.certificate)
        self.context.check_hostname = False

    @property
    def port(self) -> int:
        return urlsplit(self.loop.address).port or 0

    def start_push(self, *, password: str = PASSWORD, certificate: Path | None = None, name: str = "rack-1") -> Path:
        """Starts the process; the path of its log."""
        folder = self.folder / f"machine-{time.monotonic_ns()}"
        folder.mkdir()
        (folder / "login").write_text(f"watcher:{password}\n")
        ports = {peer: urlsplit(one.url).port or 0 for peer, one in self.sidecars.items()}
        described = PushDescription(
            f"https://{LOOPBACK}:{self.port}", name, folder / "login", LOOPBACK, ports, certificate or self.certificate
        )
        (folder / PUSH_FILE).write_bytes(described.render())
        words = [sys.executable, "-m", "exporter.machine.push", "--config", str(folder / PUSH_FILE)]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        return folder / "log"

    def stop_push(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=90)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.loop.get(path, **{"auth": LOGIN, "verify": False, **options})

    def states(self) -> dict[str, str]:
        return {peer["peer"]: peer["state"] for peer in self.get("/api/status").json()["peers"]}

    def firing(self) -> set[tuple[str, str]]:
        alerts = self.get("/api/status").json()["alerts"]
        return {(alert["rule"], alert["peer"]) for alert in alerts if alert["state"] == "firing"}

    def results(self) -> dict[str, float]:
        lines = self.get("/metrics").text.splitlines()
        return {
            line.partition("{")[2].partition("}")[0]: float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith("alerts_pushes_total{")
        }

    def send(self, *lines: str, body: bytes = b"", login: tuple[str, str] = ("rack-1", PASSWORD)) -> int:
        """Sends the head of a push and at most this of its body; the status of the answer."""
        with self.connect() as connection:
            # It may be refused and cut off before all of it is sent.
            with contextlib.suppress(ConnectionError):
                connection.sendall(make_head(*lines, login=login) + body)
            return int(connection.recv(4096).split(b" ")[1])

    @contextlib.contextmanager
    def connect(self) -> Iterator[ssl.SSLSocket]:
        plain = socket.create_connection((LOOPBACK, self.port), 20)
        with self.context.wrap_socket(plain) as connection:
            yield connection


def make_head(*lines: str, login: tuple[str, str] = ("rack-1", PASSWORD)) -> bytes:
    """The head of a push, as a client of one's own sends it."""
    basic = base64.b64encode(":".join(login).encode()).decode()
    head = [f"POST {PUSH_PATH} HTTP/1.1", f"Host: {LOOPBACK}", f"Authorization: Basic {basic}", *lines, "", ""]
    return "\r\n".join(head).encode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("pushed")
    sidecars = {"amber": Sidecar(), "basalt": Sidecar()}
    certificate, key = write_certificate(folder)
    (folder / "state").mkdir()
    # What it said before this start; `gone` belongs to nobody any more.
    write_membership(folder / "state", {"rack-1": {"amber": NO_PORT, "basalt": NO_PORT}, "gone": {"old": 3}})
    settings = {
        "fleet": "all",
        "state_dir": str(folder / "state"),
        "listen": f"{LOOPBACK}:{reserve_ports(1)[0]}",
        "tls": {"certificate": str(certificate), "key": str(key)},
        "login": {"user": LOGIN[0], "password": LOGIN[1]},
        "interval": "0.5s",
        "timeout": "0.5s",
        "charts": False,
        "targets": [],
        "machines": [{"name": "rack-1", "pushes": True, "login": f"watcher:{PASSWORD}"}],
        "rules": {
            "HostDown": {"unreachable_after": "3s", "for": "0s", "recover_after": "0s"},
            "PeerDown": {"unreachable_after": "2s", "for": "0s", "recover_after": "0s"},
            "DiskLow": {"enabled": False},
            "HostMemoryPressure": {"enabled": False},
        },
    }
    loop = AlertLoop(folder, settings)
    loop.start()
    found = Site(folder, loop, sidecars, certificate)
    try:
        yield found
    finally:
        if found.process is not None and found.process.poll() is None:
            found.process.kill()
            found.process.wait()
        if loop.process is not None and loop.process.poll() is None:
            loop.kill()
        for one in sidecars.values():
            one.close()


@pytest.fixture
def pushed(site: Site) -> Iterator[Site]:
    """With its process, and every page there."""
    log = site.start_push()
    wait_for(lambda: "takes this machine's pages" in log.read_text(), 30, "it pushes")
    wait_for(lambda: set(site.states().values()) == {"training"}, 30, "both pages are there")
    yield site
    assert site.stop_push() == 0


def test_pages_are_pushed_over_one_connection_and_judged_like_others(pushed: Site) -> None:
    assert pushed.process is not None
    process = psutil.Process(pushed.process.pid)

    def outgoing() -> set[int]:
        return {one.laddr.port for one in process.net_connections() if one.raddr and one.raddr.port == pushed.port}

    first, before = outgoing(), pushed.results()['machine="rack-1",result="accepted"']
    assert len(first) == 1
    peers = pushed.get("/api/status").json()["peers"]
    assert [(one["peer"], one["machine"], one["pushed"]) for one in peers] == [
        ("amber", "rack-1", True),
        ("basalt", "rack-1", True),
    ]
    wait_for(lambda: pushed.results()['machine="rack-1",result="accepted"'] >= before + 4, 30, "further pushes")
    assert outgoing() == first
    pushed.sidecars["amber"].serve(last_step=time.time() - 100, phase_start=time.time() - 200)
    wait_for(lambda: ("PeerStalled", "amber") in pushed.firing(), 30, "the stall is seen")
    pushed.sidecars["amber"].serve()
    assert {peer for rule, peer in pushed.firing() if rule == "PeerStalled"} <= {"amber"}


def test_a_sidecar_that_is_gone_is_its_peers_and_a_silent_machine_is_one_alert(pushed: Site) -> None:
    pushed.sidecars["basalt"].status = 503
    wait_for(lambda: pushed.firing() >= {("PeerDown", "basalt")}, 30, "the sidecar is missed")
    assert ("HostDown", "rack-1") not in pushed.firing()
    pushed.sidecars["basalt"].status = 200
    wait_for(lambda: not {rule for rule, _ in pushed.firing()} & {"PeerDown"}, 30, "it is back")
    assert pushed.process is not None
    psutil.Process(pushed.process.pid).suspend()
    try:
        wait_for(lambda: ("HostDown", "rack-1") in pushed.firing(), 30, "the machine is missed")
        (alert,) = [one for one in pushed.get("/api/status").json()["alerts"] if one["rule"] == "HostDown"]
        assert "no page was pushed within" in alert["summary"]
    finally:
        psutil.Process(pushed.process.pid).resume()
    wait_for(lambda: ("HostDown", "rack-1") not in pushed.firing(), 30, "it is back")


def test_pushing_goes_on_after_the_watcher_was_restarted(pushed: Site) -> None:
    assert pushed.loop.stop() == 0
    pushed.loop.start()
    wait_for(lambda: set(pushed.states().values()) == {"training"}, 30, "both pages are there again")
    results = pushed.results()
    # The first of them had a number that may have been taken before.
    assert results['machine="rack-1",result="replayed"'] == 1
    assert "Traceback" not in pushed.loop.output()


def test_prometheus_reads_its_page_here(pushed: Site) -> None:
    (described,) = [one for one in pushed.get("/targets").json() if one["labels"]["peer"] == "amber"]
    assert described["targets"] == [f"{LOOPBACK}:{pushed.port}"]
    assert (described["labels"]["machine"], described["labels"]["__scheme__"]) == ("rack-1", "https")
    path = described["labels"]["__metrics_path__"]
    answer = pushed.get(path)
    assert answer.status_code == 200
    lines = answer.text.splitlines()
    assert "# TYPE trainer_steps_total counter" in lines
    assert 'trainer_memory_bytes{kind="footprint"} 1.073741824e+09' in lines
    assert any(line.startswith("trainer_info{") and 'nickname="quick amber fox"' in line for line in lines)
    check = subprocess.run(
        [require("promtool"), "check", "metrics"], input=answer.text, capture_output=True, text=True, check=False
    )
    assert (check.returncode, check.stderr) == (0, "")
    assert get(f"{pushed.loop.address}{path}", verify=False).status_code == 401
    assert pushed.get(path.replace("rack-1", "rack-2")).status_code == 404
    assert pushed.get(path.replace("amber", "nobody")).status_code == 404
    pushed.sidecars["amber"].status = 503
    wait_for(lambda: pushed.get(path).status_code == 503, 30, "no page is no page")
    pushed.sidecars["amber"].status = 200


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"password": "another" * 5}, "refuses (401): it does not know this machine by this password"),
        ({"name": "rack-2"}, "refuses (401): it does not know this machine by this password"),
        ({"certificate": "other"}, "its certificate is not the one that this machine knows"),
    ],
)
def test_who_is_wrong_is_told_why_and_not_let_in(site: Site, wrong: dict[str, Any], said: str) -> None:
    if "certificate" in wrong:
        wrong = {"certificate": write_certificate(site.folder / "other")[0]}
    before = site.results().get('machine="rack-1",result="accepted"')
    log = site.start_push(**wrong)
    wait_for(lambda: said in log.read_text(), 30, "it says why")
    assert site.stop_push() == 0
    assert "another" not in log.read_text()
    assert "Traceback" not in log.read_text()
    assert site.results().get('machine="rack-1",result="accepted"') == before


def test_a_push_of_50_mb_is_refused_before_it_is_read(site: Site) -> None:
    assert site.loop.process is not None
    process = psutil.Process(site.loop.process.pid)
    memory = process.memory_full_info().uss
    large = ("Content-Encoding: gzip", f"Content-Length: {50 << 20}")
    # It may push again as often as it may at once.
    time.sleep(1.0)
    assert site.send(*large) == 413
    assert site.send(*large, login=("rack-1", "wrong")) == 401
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    assert site.send("Content-Encoding: gzip", "Transfer-Encoding: chunked", body=5 * chunk) == 413
    # From a client that sends it all without listening.
    with contextlib.suppress(OSError), site.connect() as connection:
        connection.sendall(make_head(*large) + bytes(50 << 20))
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
    assert process.memory_full_info().uss < memory + (24 << 20)
    assert site.results()['machine="rack-1",result="too_large"'] >= 2
    assert "Traceback" not in site.loop.output()


def test_a_push_that_ends_in_the_middle_leaves_nothing(site: Site) -> None:
    body = render(Push(1, ("amber",), {"amber": b"trainer_up 1\n"}))
    with site.connect() as connection:
        connection.sendall(make_head("Content-Encoding: gzip", f"Content-Length: {len(body) + 99}") + body)
    wait_for(lambda: site.results().get('machine="rack-1",result="invalid"', 0.0) >= 1, 30, "it is counted")
    assert "Traceback" not in site.loop.output()
