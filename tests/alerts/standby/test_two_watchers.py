"""Two real alert loops of one fleet, a real receiver, and a first watcher that is killed, stopped, and back."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from alerts.machines.joined import JoinRequest, add_joined
from exporter.machine.push_file import PushDescription
from tests.alerts.conftest import AlertLoop, Sidecar
from tests.architecture import ROOT
from tests.certificates import write_certificate
from tests.fakes import LOOPBACK, Mailbox, Webhook, reserve_ports, wait_for

AFTER_SECONDS = 3.0
PASSWORD = "open sesame"


class Cable:
    """What connects the second watcher with the first; once cut, it is as silent as one that is not there."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends: list[socket.socket] = []
        self.is_cut = False
        self._server = socket.create_server((LOOPBACK, 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._server.getsockname()[1]}"

    def cut(self) -> None:
        self.is_cut = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        for end in (self._server, *self._ends):
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._server.accept()[0]
                self._ends.append(near)
                if self.is_cut:
                    continue
                try:
                    far = socket.create_connection((LOOPBACK, self._port))
                except ConnectionRefusedError:
                    near.shutdown(socket.SHUT_RDWR)
                    continue
                self._ends.append(far)
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


class Pair:
    """A first watcher, its standby, two peers, and one receiver of both watchers' notifications."""

    def __init__(self, folder: Path, url: str) -> None:
        self.peers = {"a": Sidecar(), "b": Sidecar()}
        port = reserve_ports(1)[0]
        self.cable = Cable(port)
        self.first = self._loop(folder / "first", url, listen=f"{LOOPBACK}:{port}")
        of = {
            "url": self.cable.url,
            "token_file": str(folder / "first" / "state" / "standby.token"),
            "after": f"{AFTER_SECONDS:g}s",
        }
        self.second = self._loop(folder / "second", url, listen=f"{LOOPBACK}:0", standby_of=of)

    def start(self) -> None:
        self.first.start()
        self.second.start()
        self.wait("standing by")

    def wait(self, role: str) -> None:
        """Until the second one has this role, and if it stands by, both know it."""

        def has_role() -> bool:
            seen = _standby(self.second)
            if role == "notifying" or seen["role"] != role:
                return bool(seen["role"] == role)
            first = _standby(self.first)
            return not seen["problem"] and first is not None and not first["problem"]

        wait_for(has_role, 20, f"the second is {role}", every=0.05)

    def knows(self, rule: str, peer: str) -> bool:
        """Whether the second one has heard that the first one's service accepted an alert."""
        path = self.second.folder / "state" / "standby.json"
        return path.exists() and [rule, peer] in json.loads(path.read_text())["notified"]["hook"]

    def stall(self, peer: str) -> None:
        self.peers[peer].serve(last_step=time.time() - 100, phase_start=time.time() - 200)

    def recover(self, peer: str) -> None:
        self.peers[peer].serve()

    def close(self) -> None:
        for loop in (self.first, self.second):
            if loop.process is not None and loop.process.poll() is None:
                loop.process.send_signal(signal.SIGCONT)
                loop.kill()
        self.cable.close()
        for peer in self.peers.values():
            peer.close()

    def _loop(self, folder: Path, url: str, **settings: Any) -> AlertLoop:
        folder.mkdir()
        return AlertLoop(
            folder,
            {
                "fleet": "test",
                "state_dir": str(folder / "state"),
                "interval": "0.2s",
                "timeout": "1s",
                "grouping": {"wait": "0s", "interval": "0s"},
                "charts": False,
                "targets": [{"peer": name, "url": peer.url} for name, peer in self.peers.items()],
                "routes": [{"name": "hook", "url": url}],
                "rules": {"PeerStalled": {"recover_after": "0s"}},
                **settings,
            },
        )


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    yield webhook
    webhook.close()


@pytest.fixture
def pair(tmp_path: Path, webhook: Webhook) -> Iterator[Pair]:
    pair = Pair(tmp_path, webhook.url)
    yield pair
    pair.close()


def _standby(loop: AlertLoop) -> Any:
    return _status(loop)["standby"]


def _status(loop: AlertLoop) -> Any:
    return loop.get("/api/status", verify=False, auth=("operator", PASSWORD)).raise_for_status().json()


def titles(receiver: Webhook | Mailbox) -> Counter[str]:
    return Counter(message.title for message in receiver.messages)


def _wait_for(receiver: Webhook | Mailbox, title: str) -> None:
    wait_for(lambda: titles(receiver)[title], 20, title, every=0.02)


def test_a_killed_watcher_is_replaced_and_comes_back_and_each_alert_is_told_once(pair: Pair, webhook: Webhook) -> None:
    pair.start()
    assert "Standing by for" in pair.second.get("/").text
    assert "alerts_standby 1.0" in pair.second.get("/metrics").text
    assert "alerts_standby 0.0" in pair.first.get("/metrics").text
    pair.stall("a")
    _wait_for(webhook, "PeerStalled: a")
    wait_for(lambda: pair.knows("PeerStalled", "a"), 20, "the second has heard of it", every=0.02)
    pair.first.kill()
    assert webhook.messages[0].title == "PeerStalled: a"
    pair.wait("notifying")
    assert "has taken over" in pair.second.get("/").text
    pair.stall("b")
    _wait_for(webhook, "PeerStalled: b")
    pair.recover("a")
    _wait_for(webhook, "Resolved: PeerStalled: a")
    pair.first.start()
    pair.wait("standing by")
    pair.recover("b")
    _wait_for(webhook, "Resolved: PeerStalled: b")
    pair.stall("a")
    wait_for(lambda: titles(webhook)["PeerStalled: a"] == 2, 20, "it stalls again", every=0.02)
    time.sleep(1)
    assert titles(webhook) == {
        "PeerStalled: a": 2,
        "PeerStalled: b": 1,
        "Resolved: PeerStalled: a": 1,
        "Resolved: PeerStalled: b": 1,
        "Standby watcher took over: test": 1,
        "First watcher is back: test": 1,
    }


def test_a_watcher_that_is_stopped_repeats_nothing_when_it_goes_on(pair: Pair, webhook: Webhook) -> None:
    pair.start()
    pair.stall("a")
    _wait_for(webhook, "PeerStalled: a")
    wait_for(lambda: pair.knows("PeerStalled", "a"), 20, "the second has heard of it", every=0.02)
    assert pair.first.process is not None
    os.kill(pair.first.process.pid, signal.SIGSTOP)
    # Nobody has told of this one when the standby takes over.
    pair.stall("b")
    _wait_for(webhook, "PeerStalled: b")
    pair.recover("a")
    _wait_for(webhook, "Resolved: PeerStalled: a")
    os.kill(pair.first.process.pid, signal.SIGCONT)
    pair.wait("standing by")
    pair.recover("b")
    _wait_for(webhook, "Resolved: PeerStalled: b")
    time.sleep(1)
    counts = titles(webhook)
    assert {title: count for title, count in counts.items() if "Peer" in title} == {
        "PeerStalled: a": 1,
        "PeerStalled: b": 1,
        "Resolved: PeerStalled: a": 1,
        "Resolved: PeerStalled: b": 1,
    }


def test_what_the_first_one_could_not_deliver_is_told_by_the_second_and_never_again(tmp_path: Path) -> None:
    mailbox = Mailbox(reserve_ports(1)[0])
    pair = Pair(tmp_path, mailbox.url)
    try:
        pair.start()
        pair.stall("a")
        wait_for(lambda: pair.first.pending() == 1 and ("PeerStalled", "a") in pair.second.firing(), 20, "it waits")
        pair.first.kill()
        mailbox.start()
        _wait_for(mailbox, "PeerStalled: a")
        pair.first.start()
        pair.wait("standing by")
        wait_for(lambda: pair.first.pending() == 0, 20, "nothing left to send")
        time.sleep(1)
        assert titles(mailbox)["PeerStalled: a"] == 1
    finally:
        pair.close()
        mailbox.stop()


def test_two_that_cannot_see_each_other_both_tell_and_repeat_nothing_once_they_do(pair: Pair, webhook: Webhook) -> None:
    pair.start()
    pair.cable.cut()
    pair.wait("notifying")
    pair.stall("a")
    wait_for(lambda: titles(webhook)["PeerStalled: a"] == 2, 20, "both tell", every=0.02)
    pair.cable.is_cut = False
    pair.wait("standing by")
    pair.recover("a")
    _wait_for(webhook, "Resolved: PeerStalled: a")
    pair.stall("b")
    _wait_for(webhook, "PeerStalled: b")
    time.sleep(1)
    counts = titles(webhook)
    assert {title: count for title, count in counts.items() if "Peer" in title} == {
        "PeerStalled: a": 2,
        "PeerStalled: b": 1,
        "Resolved: PeerStalled: a": 1,
    }


def test_a_standby_knows_the_first_one_by_its_certificate(tmp_path: Path, webhook: Webhook) -> None:
    pair = Pair(tmp_path, webhook.url)
    try:
        certificate, key = write_certificate(tmp_path)
        pair.first.settings |= {
            "tls": {"certificate": str(certificate), "key": str(key)},
            "login": {"password": "open sesame"},
        }
        of = pair.second.settings["standby_of"]
        of["url"] = of["url"].replace("http://", "https://")
        pair.first.start()
        pair.second.start()
        wait_for(lambda: (pair.second.folder / "state" / "standby.json").exists(), 20, "it is answered", every=0.05)
        assert _standby(pair.second) == {"role": "standing by", "of": of["url"], "problem": "", "asked_timestamp": None}
        assert pair.second.stop() == 0
        other, _ = write_certificate(tmp_path / "other")
        token = (pair.first.folder / "state" / "standby.token").read_text().split("\n", 1)[0]
        (tmp_path / "standby.token").write_text(f"{token}\n{other.read_text()}")
        of["token_file"] = str(tmp_path / "standby.token")
        pair.second.settings["language"] = "zh-CN"
        pair.second.start()
        wait_for(lambda: "certificate is not the one" in _standby(pair.second)["problem"], 20, "it is refused")
        assert "其证书不是令牌文件中的证书" in pair.second.get("/").text
    finally:
        pair.close()


def test_a_machine_that_pushes_to_both_is_told_of_after_the_first_one_is_gone(
    tmp_path: Path, pair: Pair, webhook: Webhook
) -> None:
    certificate, key = write_certificate(tmp_path)
    request = JoinRequest(name="rack-3", pushes=True, login="watcher:" + "p" * 43, certificate=certificate.read_text())
    (tmp_path / "login").write_text(f"{request.login}\n")
    (tmp_path / "login").chmod(0o600)
    page = pair.peers["c"] = Sidecar()
    for loop in (pair.first, pair.second):
        loop.settings |= {
            "listen": f"{LOOPBACK}:{reserve_ports(1)[0]}" if loop is pair.second else loop.settings["listen"],
            "tls": {"certificate": str(certificate), "key": str(key)},
            "login": {"user": "operator", "password": PASSWORD},
            "interval": "0.5s",
        }
        (loop.folder / "state").mkdir(mode=0o700)
        add_joined(loop.folder / "state", request, ())
    of = pair.second.settings["standby_of"]
    of["url"] = of["url"].replace("http://", "https://")
    urls = [f"https://{loop.settings['listen']}" for loop in (pair.first, pair.second)]
    peers = {"c": urlsplit(page.url).port or 0}
    described = PushDescription(
        urls[0], "rack-3", tmp_path / "login", LOOPBACK, peers, certificate, urls[1], certificate
    )
    (tmp_path / "push.json").write_bytes(described.render())
    words = [sys.executable, "-m", "exporter.machine.push", "--config", str(tmp_path / "push.json")]
    with (tmp_path / "push.log").open("wb") as log:
        pushing = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        pair.first.start()
        pair.second.start()
        for loop in (pair.first, pair.second):
            wait_for(lambda loop=loop: "c" in _peers(loop), 20, "both have the peer of the machine", every=0.05)
        pair.wait("standing by")
        pair.stall("c")
        wait_for(lambda: pair.knows("PeerStalled", "c"), 20, "the first one tells of it", every=0.05)
        pair.first.kill()
        pair.wait("notifying")
        pair.recover("c")
        _wait_for(webhook, "Resolved: PeerStalled: c")
        assert titles(webhook)["PeerStalled: c"] == titles(webhook)["Resolved: PeerStalled: c"] == 1
    finally:
        pushing.terminate()
        pushing.wait()


def _peers(loop: AlertLoop) -> set[str]:
    try:
        return {peer["peer"] for peer in _status(loop)["peers"]}
    except httpx.HTTPError:
        return set()


def test_a_stranger_learns_nothing_and_hands_nothing_over(pair: Pair) -> None:
    pair.first.start()
    question = {"watcher": "stranger", "after": 60}
    address = f"{pair.first.address}/api/standby"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic b3BlcmF0b3I6"}):
        answer = httpx.post(address, json=question, headers=headers, trust_env=False, timeout=30)
        assert answer.status_code == 401
        assert "standby.token" in answer.json()["detail"]
    token = (pair.first.folder / "state" / "standby.token").read_text().strip()
    wrong = {**question, "knowledge": {"alerts": [{"rule": "x"}]}}
    answer = httpx.post(address, json=wrong, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30)
    assert answer.status_code == 422
