"""Alerts about the machine, and Watchdog, through the whole loop."""

import socket
from collections.abc import Callable

from tests.alerts.conftest import AlertLoop, Sidecar
from tests.fakes import Webhook, wait_for


def test_the_machines_alerts_carry_its_name_and_watchdog_reaches_only_its_own_route(
    make_loop: Callable[..., AlertLoop], sidecar: Sidecar
) -> None:
    host, webhook, watchdog, boss = socket.gethostname(), Webhook(), Webhook(), Webhook()
    try:
        rules = {"Watchdog": {"enabled": True}, "DiskLow": {"least_gib": 10**9, "for": "0s"}}
        loop = make_loop({"a": sidecar}, rules=rules)
        routes = {"hook": {}, "dead-man": {"watchdog": "10m"}, "boss": {"after": "1s"}}
        urls = {"hook": webhook.url, "dead-man": watchdog.url, "boss": boss.url}
        loop.settings["routes"] = [{"name": name, "url": urls[name], **more} for name, more in routes.items()]
        loop.start()
        wait_for(lambda: boss.messages and watchdog.messages and webhook.messages, 10, "the messages")
        assert [message.title for message in watchdog.messages] == [f"Watchdog: {host}"]
        assert watchdog.messages[0].body == "Alert loop running.\nFleet test"
        assert [message.title for message in boss.messages] == [f"DiskLow: {host}"]
        received = {message.title: message for message in webhook.messages}
        assert set(received) == {f"DiskLow: {host}"}
        assert received[f"DiskLow: {host}"].says("free on the disk of", "What to do: delete old checkpoints")
        status, alerts = loop.get("/api/status").json(), loop.get("/api/alerts").json()
        assert [(alert["rule"], alert["peer"]) for alert in status["alerts"]] == [("DiskLow", host)]
        assert [alert["rule"] for alert in alerts["alerts"]] == ["DiskLow"]
        assert [event["rule"] for event in alerts["events"]] == ["DiskLow"]
        assert status["peers"][0]["alerts"] == []
        page = loop.get("/").text
        assert "1 alert firing" in page
        assert "Watchdog" not in page
        assert 'alerts_firing{rule="Watchdog",severity="info"} 1.0' in loop.get("/metrics").text
    finally:
        for hook in (webhook, watchdog, boss):
            hook.close()


def test_a_restarted_loop_knows_the_machines_alert_again(make_loop: Callable[..., AlertLoop], sidecar: Sidecar) -> None:
    webhook = Webhook()
    try:
        loop = make_loop({"a": sidecar}, {"hook": webhook.url}, rules={"DiskLow": {"least_gib": 10**9, "for": "0s"}})
        loop.start()
        wait_for(lambda: webhook.messages, 10, "the message")
        assert loop.stop() == 0
        loop.start()
        wait_for(loop.firing, 10, "it still fires")
        assert "no longer monitored" not in loop.output()
        assert len(webhook.messages) == 1
    finally:
        webhook.close()
