"""`peerwatch alerts` against a real alert loop, and without one."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import warm
from tests.alerts.conftest import AlertLoop, Sidecar
from tests.alerts.delivery.heartbeat_service import SECRET, Service
from tests.fakes import LOOPBACK, Webhook, reserve_ports, wait_for

TOKEN = "hunter2-hunter2-hunter2"


class Console:
    """A fleet's file with its alert loop, and `peerwatch alerts` for it."""

    def __init__(self, folder: Path, webhook: Webhook) -> None:
        ports = reserve_ports(2)
        self.file = folder / "peerwatch.yaml"
        routes = {"hook": webhook.url, "broken": f"json://{LOOPBACK}:{ports[1]}/{TOKEN}"}
        listed = [{"name": name, "url": url} for name, url in routes.items()]
        settings = {"fleet": "test", "state_dir": "state", "ports": {"alerts": ports[0]}, "alerts": {"routes": listed}}
        self.file.write_text(yaml.safe_dump(settings))
        self.sidecar = Sidecar()
        self.loop = AlertLoop(
            folder,
            {
                "fleet": "test",
                "state_dir": str(folder / "state" / "alerts"),
                "listen": f"{LOOPBACK}:{ports[0]}",
                "interval": "0.2s",
                "grouping": {"wait": "0s", "interval": "0s"},
                "targets": [{"peer": "amber", "url": self.sidecar.url}],
                "routes": listed,
            },
        )

    def set_rules(self, rules: dict[str, Any]) -> None:
        """Changes the rules in the file; the loop keeps its own."""
        settings = yaml.safe_load(self.file.read_text())
        settings["alerts"]["rules"] = rules
        self.file.write_text(yaml.safe_dump(settings))

    def run(self, *arguments: str) -> tuple[int, str, str]:
        result = warm.run("fleet", "alerts", *arguments, "-f", str(self.file))
        return result.returncode, result.stdout, result.stderr


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    yield webhook
    webhook.close()


@pytest.fixture
def console(tmp_path: Path, webhook: Webhook) -> Iterator[Console]:
    console = Console(tmp_path, webhook)
    yield console
    console.sidecar.close()
    if console.loop.process is not None and console.loop.process.poll() is None:
        console.loop.kill()


def test_alerts_are_listed_silenced_acknowledged_and_tested(console: Console, webhook: Webhook) -> None:
    console.loop.start()
    assert console.run("list") == (0, "no alerts\n", "")
    code, out, err = console.run("silence", "--peer", "amb*", "--for", "2h", "--comment", "new fan")
    assert (code, err) == (0, "")
    assert out.startswith("silence 1: rule *, peer amb*, severity *, until 20")
    assert out.endswith("(new fan)\n")
    console.sidecar.serve(last_step=time.time() - 100, phase_start=time.time() - 200)
    wait_for(console.loop.firing, 60, "it fires")
    assert console.run("ack", "PeerStalled", "amber") == (0, "acknowledged PeerStalled: amber\n", "")
    code, out, _ = console.run("list")
    assert code == 0
    assert "PeerStalled: amber (firing, critical, silenced, acknowledged) No progress for" in out
    assert console.run("silence", "--end", "1") == (0, "silence 1 ended\n", "")
    assert console.run("silence", "--end", "1") == (1, "", "peerwatch: unknown silence 1\n")
    assert console.run("ack", "PeerDown") == (1, "", "peerwatch: no matching alert is firing\n")
    code, out, err = console.run("test")
    assert (code, err) == (1, "")
    assert out == "hook: delivered\nbroken: not delivered: connection refused\n"
    assert console.run("test", "hook") == (0, "hook: delivered\n", "")
    tests = [message for message in webhook.messages if message.title == "Test notification: test"]
    assert [message.body for message in tests] == ["Test of route hook: alerts arrive here."] * 2
    assert TOKEN not in console.loop.output()


def test_a_refused_heartbeat_is_told_by_test_page_and_log(console: Console) -> None:
    service = Service()
    service.body = f"OK (not found: {SECRET})".encode()
    console.loop.settings |= {"routes": [], "deadman": {"url": service.url, "every": "60s"}}
    console.loop.start()
    try:
        code, out, _ = console.run("test")
    finally:
        service.close()
    page = console.loop.get("/").text
    assert code == 1
    assert out.startswith("deadman: not delivered: the service refused the heartbeat: OK (not found: ")
    assert "no routes configured" in out
    assert "<strong>deadman</strong>\nconsecutive failures: " in page
    assert "the service refused the heartbeat: OK (not found: " in page
    assert "No routes configured" in page
    assert "deadman: heartbeat delivery failed: the service refused the heartbeat" in console.loop.output()
    assert SECRET not in page + out + console.loop.output()


def test_without_a_loop_the_error_is_one_line(console: Console) -> None:
    for arguments in (("list",), ("test",), ("ack", "PeerDown"), ("silence", "--rule", "PeerDown")):
        code, out, err = console.run(*arguments)
        assert (code, out) == (1, "")
        assert err.startswith("peerwatch: the alert loop ")
        assert err.endswith("start the fleet with `peerwatch up`\n")
        assert err.count("\n") == 1


def test_a_silence_must_say_what_it_silences(console: Console) -> None:
    code, _, err = console.run("silence", "--for", "1h")
    assert (code, err.count("\n")) == (2, 1)
    assert "--rule, --peer or --severity" in err


def test_a_backtest_finds_what_the_loop_recorded_and_what_other_thresholds_would_do(console: Console) -> None:
    console.loop.settings["rules"] = {"MemoryExceeded": {"for": "0s", "recover_after": "0s"}}
    console.set_rules({"MemoryExceeded": {"for": "0s", "recover_after": "0s"}})
    assert console.run("backtest") == (
        1,
        "",
        f"peerwatch: {console.loop.folder}/state/alerts/history.sqlite: no history yet; the alert loop records it\n",
    )
    console.loop.start()
    console.sidecar.serve(footprint=2**33, limit=2**32)
    wait_for(console.loop.firing, 60, "it fires", every=0.05)
    console.sidecar.serve(footprint=2**31, limit=2**32)
    wait_for(lambda: not console.loop.firing(), 60, "it is resolved", every=0.05)
    code, out, err = console.run("backtest", "--since", "1h")
    assert (code, err) == (0, "")
    assert "MemoryExceeded              1" in out
    assert "Same firings as recorded." in out
    console.set_rules({"MemoryExceeded": {"fraction": 0.4, "for": "0s"}, "PeerStalled": {"enabled": False}})
    report = json.loads(console.run("backtest", "--since", "1h", "--json")[1])
    memory = next(one for one in report["rules"] if one["rule"] == "MemoryExceeded")
    assert (memory["fired"], memory["gone"]) == (1, [])
    console.set_rules({"MemoryExceeded": {"fraction": 2}})
    code, out, err = console.run("backtest", "--since", "1h")
    assert (code, err) == (0, "")
    assert "gone: MemoryExceeded: amber, " in out


def test_a_backtest_wants_a_duration(console: Console) -> None:
    code, out, err = console.run("backtest", "--since", "soon")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("peerwatch: --since soon: not a duration; write a number with a unit")
