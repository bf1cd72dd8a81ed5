"""A storm, silences and acknowledgements in the real loop, over real sockets."""

import re
import stat
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.alerts.conftest import AlertLoop, Sidecar, sidecar_page
from tests.fakes import LOOPBACK, Mailbox, Webhook, reserve_ports, wait_for

PEERS = [f"rig-{number // 25}-gpu-{number % 25:02}" for number in range(300)]
MakeLoop = Callable[..., AlertLoop]


class Farm:
    """One server with a page for each of many peers; `problem` is what all pages show."""

    def __init__(self) -> None:
        self.problem: dict[str, float | str | None] = {}
        farm = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                content = sidecar_page(**farm.problem).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_: object) -> None:
                pass  # The loop has closed the connection.

        self._server = Server((LOOPBACK, 0), Handler)
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, peer: str) -> str:
        return f"http://{LOOPBACK}:{self._server.server_address[1]}/{peer}/metrics"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    yield webhook
    webhook.close()


@pytest.fixture
def farm() -> Iterator[Farm]:
    farm = Farm()
    yield farm
    farm.close()


def _named(text: str) -> set[str]:
    """The peers that a text names, one by one or within a span."""
    named = set(re.findall(r"rig-\d+-gpu-\d\d", text))
    for rig, first, last in re.findall(r"rig-(\d+)-gpu-(\d\d) to rig-\1-gpu-(\d\d)", text):
        named |= {f"rig-{rig}-gpu-{number:02}" for number in range(int(first), int(last) + 1)}
    return named


def test_when_300_peers_fail_at_once_few_messages_name_them_all(
    make_loop: MakeLoop, farm: Farm, webhook: Webhook
) -> None:
    loop = make_loop({}, {"hook": webhook.url}, interval="1s", timeout="10s")
    loop.settings["targets"] = [{"peer": peer, "url": farm.url(peer)} for peer in PEERS]
    loop.settings["grouping"] = {"wait": "2s", "interval": "5s"}
    loop.start()
    wait_for(lambda: len(loop.get("/api/status").json()["peers"]) == 300, 30, "a scrape of all")
    farm.problem = {"last_step": 2.0, "phase_start": 2.0, "started": 1.0}
    wait_for(lambda: len(loop.firing()) == 300, 30, "everything fires")
    wait_for(lambda: loop.pending() == 0, 30, "everything delivered")
    time.sleep(1)
    failures = list(webhook.messages)
    assert len(failures) <= 3
    assert _named("\n".join(f"{one.title}\n{one.body}" for one in failures)) == set(PEERS)
    farm.problem = {}
    wait_for(lambda: not loop.firing(), 30, "everything is resolved")
    wait_for(lambda: loop.pending() == 0, 30, "everything delivered")
    resolutions = webhook.messages[len(failures) :]
    assert 1 <= len(resolutions) <= 3
    assert _named("\n".join(f"{one.title}\n{one.body}" for one in resolutions)) == set(PEERS)


def test_a_silenced_alert_is_shown_but_sent_only_once_the_silence_ends(
    make_loop: MakeLoop, sidecar: Sidecar, webhook: Webhook, tmp_path: Path
) -> None:
    loop = make_loop({"a": sidecar, "b": sidecar}, {"hook": webhook.url})
    loop.start()
    wanted = {"rule": "Peer*", "peer": "a", "lasts": "1h", "comment": "moving it"}
    made = _post(loop, tmp_path, "/api/silences", wanted)
    assert made.status_code == 201
    sidecar.serve(last_step=time.time() - 100, phase_start=time.time() - 200)
    wait_for(lambda: len(loop.firing()) == 2, 10, "both fire")
    assert wait_for(lambda: webhook.messages, 10, "the other's alert")[0].title == "PeerStalled: b"
    assert loop.stop() == 0
    loop.start()
    wait_for(lambda: loop.get("/api/status").json()["now"], 10, "an evaluation")
    time.sleep(0.6)
    shown = loop.get("/api/alerts").json()
    assert {alert["peer"]: alert["silenced"] for alert in shown["alerts"]} == {"a": True, "b": False}
    assert [silence["comment"] for silence in shown["silences"]] == ["moving it"]
    assert "moving it" in loop.get("/").text
    assert len(webhook.messages) == 1
    for number in ("9" * 30, "9" * 5000, "0x1", "-1", "１"):
        assert _delete(loop, tmp_path, f"/api/silences/{number}").status_code == 404
    ended = _delete(loop, tmp_path, f"/api/silences/{made.json()['id']}")
    assert ended.status_code == 200
    wait_for(lambda: len(webhook.messages) == 2, 10, "the alert, once nothing silences it")
    assert webhook.messages[1].title == "PeerStalled: a"


def test_an_acknowledged_alert_is_neither_repeated_nor_escalated(
    make_loop: MakeLoop, sidecar: Sidecar, webhook: Webhook, tmp_path: Path
) -> None:
    boss, other = Webhook(), Sidecar()
    try:
        loop = make_loop({"a": sidecar, "b": other})
        escalation = {"name": "boss", "url": boss.url, "after": "1h", "severities": ["critical"]}
        loop.settings["routes"] = [{"name": "hook", "url": webhook.url}, escalation]
        loop.start()
        sidecar.serve(last_step=time.time() - 100, phase_start=time.time() - 200)
        wait_for(loop.firing, 10, "a fires")
        acknowledged = _post(loop, tmp_path, "/api/acknowledgements", {"rule": "PeerStalled", "peer": "a"})
        assert acknowledged.json() == {"acknowledged": [{"rule": "PeerStalled", "peer": "a"}]}
        # Soon only once it is acknowledged, however long that takes.
        assert loop.stop() == 0
        escalation["after"], loop.settings["reminder"] = "1s", "1.5s"
        loop.start()
        other.serve(last_step=time.time() - 100, phase_start=time.time() - 200)
        wait_for(lambda: any("Still firing" in one.title for one in webhook.messages), 10, "a reminder of the other")
        assert wait_for(lambda: boss.messages, 10, "the escalation")[0].title == "PeerStalled: b"
        assert not any("PeerStalled: a" in one.title for one in boss.messages)
        assert {one.title for one in webhook.messages} == {
            "PeerStalled: a",
            "PeerStalled: b",
            "Still firing: PeerStalled: b",
        }
        sidecar.serve()
        wait_for(lambda: any("Resolved: PeerStalled: a" in one.title for one in webhook.messages), 10, "the resolution")
        assert _post(loop, tmp_path, "/api/acknowledgements", {"rule": "PeerStalled", "peer": "a"}).status_code == 404
    finally:
        boss.close()
        other.close()


def test_only_who_reads_the_token_and_comes_from_here_may_change_anything(
    make_loop: MakeLoop, sidecar: Sidecar, tmp_path: Path
) -> None:
    loop = make_loop({"a": sidecar})
    loop.start()
    wanted = {"peer": "a", "lasts": "1h"}
    token = tmp_path / "state" / "api.token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert httpx.post(f"{loop.address}/api/silences", json=wanted, trust_env=False, timeout=60).status_code == 403
    assert _post(loop, tmp_path, "/api/silences", wanted, Authorization="Bearer wrong").status_code == 403
    assert _post(loop, tmp_path, "/api/silences", wanted, Origin="http://evil.example").status_code == 403
    assert _post(loop, tmp_path, "/api/silences", wanted, Host="evil.example").status_code == 421
    assert loop.get("/api/alerts").json()["silences"] == []
    assert _post(loop, tmp_path, "/api/silences", wanted, Origin=loop.address).status_code == 201
    wrong = _post(loop, tmp_path, "/api/silences", {"peer": "a", "lasts": "soon"})
    assert wrong.status_code == 422
    assert "lasts: not a duration" in wrong.json()["detail"]
    assert _post(loop, tmp_path, "/api/silences", {"comment": "x" * 20_000}).status_code == 422
    assert _post(loop, tmp_path, "/api/test", {"route": "nowhere"}).status_code == 404


def test_an_outage_ends_with_one_summary(make_loop: MakeLoop, webhook: Webhook) -> None:
    mailbox = Mailbox(reserve_ports(1)[0])
    sidecars = {name: Sidecar() for name in "abcdef"}
    try:
        loop = make_loop(sidecars, {"mail": mailbox.url, "hook": webhook.url})
        loop.start()
        for sidecar in sidecars.values():  # one after the other, so that each is a message of its own
            before = len(webhook.messages)
            sidecar.serve(last_step=time.time() - 100, phase_start=time.time() - 200)
            wait_for(lambda b=before: len(webhook.messages) > b, 10, "the alert by the route that works", every=0.05)
        assert len(webhook.messages) == 6
        mailbox.start()
        wait_for(lambda: loop.pending() == 0, 60, "everything delivered")
        assert len(mailbox.messages) == 1
        assert mailbox.messages[0].title == "PeerStalled: 6 firing" or mailbox.messages[0].says("6 peers")
        assert all(f"PeerStalled: {name}." in mailbox.messages[0].body for name in sidecars)
    finally:
        mailbox.stop()
        for sidecar in sidecars.values():
            sidecar.close()


def _post(loop: AlertLoop, folder: Path, path: str, content: dict[str, Any], **headers: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {(folder / 'state' / 'api.token').read_text().strip()}", **headers}
    return httpx.post(f"{loop.address}{path}", json=content, headers=headers, trust_env=False, timeout=60)


def _delete(loop: AlertLoop, folder: Path, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {(folder / 'state' / 'api.token').read_text().strip()}"}
    return httpx.delete(f"{loop.address}{path}", headers=headers, trust_env=False, timeout=60)
