"""Debian's Alertmanager with the generated configuration: whom it notifies of alerts that are posted to it."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from alerts.config import AlertsConfig
from alerts.export.alertmanager import render_alertmanager
from tests.alerts.engines import Hook, Server, alertmanager
from tests.fakes import wait_for

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")

PEERS = [f"rig-{number:02}" for number in range(20)]
STALLED = {("PeerStalled", peer) for peer in PEERS}


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.close()


@pytest.fixture
def server(hook: Hook, tmp_path: Path) -> Iterator[Server]:
    """Routes: all, critical ones, one whose night it is, one whose night is over, one that waits."""
    here = datetime.now(UTC)

    def quiet(begin: float, end: float) -> dict[str, str]:
        moments = [(here + timedelta(hours=hours)).strftime("%H:%M") for hours in (begin, end)]
        return {"from": moments[0], "to": moments[1], "timezone": "UTC"}

    routes: list[dict[str, Any]] = [
        {"name": "all"},
        {"name": "severe", "severities": ["critical"]},
        {"name": "asleep", "quiet": quiet(-3, 3)},
        {"name": "awake", "quiet": quiet(3, 9)},
        {"name": "boss", "after": "30m"},
    ]
    settings = {
        "fleet": "demo",
        "state_dir": str(tmp_path),
        "grouping": {"wait": "1s", "interval": "1s"},
        "routes": [{"url": hook.url, **route} for route in routes],
    }
    server = alertmanager(tmp_path, render_alertmanager(AlertsConfig.model_validate(settings)))
    server.start()
    yield server
    server.stop()


def _alert(
    rule: str, peer: str = "", *, severity: str = "critical", ends: float = 3600, **labels: str
) -> dict[str, Any]:
    own = {"alertname": rule, "severity": severity, "fleet": "demo", **({"peer": peer} if peer else {}), **labels}
    end = datetime.fromtimestamp(time.time() + ends, UTC).isoformat()
    return {"labels": own, "endsAt": end}


def _post(server: Server, *alerts: dict[str, Any]) -> None:
    answer = httpx.post(f"{server.url}/api/v2/alerts", json=list(alerts), timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text


def test_a_hosts_alert_inhibits_its_peers_until_it_is_resolved(server: Server, hook: Hook) -> None:
    host = _alert("HostMemoryPressure")
    stalled = [_alert("PeerStalled", peer) for peer in PEERS]
    _post(server, host, *stalled, _alert("MemoryExceeded", "rig-00"), _alert("PeerStalled", "far", fleet="other"))
    expected = {("HostMemoryPressure", ""), ("MemoryExceeded", "rig-00"), ("PeerStalled", "far")}
    wait_for(lambda: hook.all_notified("all") == expected, 30, "the host's alert and what it does not inhibit")
    assert {("HostMemoryPressure", ""), ("MemoryExceeded", "rig-00")} in hook.notified("all", "firing"), "one message"
    _post(server, _alert("HostMemoryPressure", ends=-1))
    wait_for(lambda: hook.all_notified("all") >= STALLED, 30, "the peers' alerts, once the host's is resolved")
    assert not hook.all_notified("all") - expected - STALLED
    first = next(pairs for pairs in hook.notified("all", "firing") if pairs & STALLED)
    assert first >= STALLED, "all peers in one message"
    wait_for(lambda: ("HostMemoryPressure", "") in hook.all_notified("all", "resolved"), 30, "the host's resolution")


def test_a_peer_that_is_down_inhibits_its_own_consequences_only(server: Server, hook: Hook) -> None:
    _post(
        server,
        _alert("PeerDown", "a"),
        _alert("PeerStalled", "a"),
        _alert("SourceDown", "a"),
        _alert("PeerStalled", "b"),
    )
    expected = {("PeerDown", "a"), ("PeerStalled", "b")}
    wait_for(lambda: hook.all_notified("all") == expected, 30, "the cause, and the other peer's alert")
    time.sleep(3)  # three more intervals
    assert hook.all_notified("all") == expected


def test_severities_quiet_hours_and_escalation_choose_who_is_notified(server: Server, hook: Hook) -> None:
    loud, low = _alert("CrashLoop", "a"), _alert("RoundLag", "a", severity="warning")
    _post(server, loud, low, _alert("CrashLoop", "a", escalation="1800s"), _alert("Watchdog", severity="info"))
    both, severe = {("CrashLoop", "a"), ("RoundLag", "a")}, {("CrashLoop", "a")}
    expected = {"all": both, "severe": severe, "asleep": severe, "awake": both, "boss": severe}

    def notified() -> dict[str, set[tuple[str, str]]]:
        return {receiver: hook.all_notified(receiver) for receiver in expected}

    wait_for(lambda: notified() == expected, 30, f"each route gets its own; {notified()}")
    time.sleep(3)  # three more intervals
    assert notified() == expected
    escalated = [message for message in hook.messages if message["receiver"] != "boss"]
    assert not [one for message in escalated for one in message["alerts"] if "escalation" in one["labels"]]
