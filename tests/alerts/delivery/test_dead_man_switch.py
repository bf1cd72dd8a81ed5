"""The heartbeat, over a real socket."""

import asyncio
import logging

import pytest

from alerts.delivery.dead_man_switch import DeadManSwitch
from alerts.delivery.outcome import DeliveryResult
from tests.alerts.delivery.heartbeat_service import SECRET, Service


def test_heartbeats_are_sent_while_the_loop_is_healthy_and_a_failure_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="alerts.delivery.dead_man_switch")
    service, healthy = Service(), True

    async def until(pings: int) -> None:
        async with asyncio.timeout(60):
            while service.pings < pings:
                await asyncio.sleep(0.01)

    async def run() -> None:
        nonlocal healthy
        task = asyncio.create_task(DeadManSwitch(service.url, 0.02, lambda: healthy).run())
        await until(2)
        service.status = 500
        await until(service.pings + 4)
        service.status = 200
        await until(service.pings + 3)
        healthy = False
        pings = service.pings
        await asyncio.sleep(0.4)
        # One may have been on its way; twenty would have followed.
        assert service.pings <= pings + 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    try:
        asyncio.run(run())
    finally:
        service.close()
    assert [record.getMessage() for record in caplog.records if record.name == "alerts.delivery.dead_man_switch"] == [
        "deadman: heartbeat delivery failed: the service answered 500 Internal Server Error: OK; retried every 0.02 s",
        "deadman: heartbeat delivery recovered",
    ]
    assert SECRET not in caplog.text


def ping(service: Service) -> DeliveryResult:
    """The result of one heartbeat."""

    async def once() -> DeliveryResult:
        switch = DeadManSwitch(service.url, 1.0, lambda: True)
        result = await switch.ping()
        assert (switch.health.failures == 0) is result.accepted
        assert switch.health.reason == result.reason
        return result

    try:
        return asyncio.run(once())
    finally:
        service.close()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        # healthchecks.io, Dead Man's Snitch, Uptime Kuma, Better Stack, Opsgenie.
        (200, b"OK"),
        (201, b"Created"),
        (202, b"Got it, thanks!"),
        (200, b'{"ok":true}'),
        (200, b""),
        (202, b'{"result":"PONG - Heartbeat received","took":0.01}'),
    ],
)
def test_what_services_answer_to_a_heartbeat_is_taken(status: int, body: bytes) -> None:
    service = Service()
    service.status, service.body = status, body
    assert ping(service).accepted


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"OK (not found)", "the service refused the heartbeat: OK (not found)"),
        (200, b"OK (rate limited)\n", "the service refused the heartbeat: OK (rate limited)"),
        (
            200,
            b'{"ok":false,"msg":"Monitor not found or not active."}',
            "the service refused the heartbeat: Monitor not found or not active.",
        ),
        (404, b'{"ok":false,"msg":"Monitor not found."}', "the service answered 404 Not Found: Monitor not found."),
        (409, b"ambiguous slug", "the service answered 409 Conflict: ambiguous slug"),
        (200, b"<!doctype html><title>x</title><p>Log in", "a web page answered, not the service: x Log in"),
        (304, b"", "the service answered 304 Not Modified"),
    ],
)
def test_what_services_answer_to_an_unknown_check_is_a_failure(status: int, body: bytes, words: str) -> None:
    service = Service()
    service.status, service.body = status, body
    result = ping(service)
    assert not result.accepted
    assert words in result.reason


def test_a_heartbeat_follows_a_redirect(caplog: pytest.LogCaptureFixture) -> None:
    service = Service()
    service.status, service.location = 301, "/elsewhere"
    assert ping(service).accepted
    service = Service()
    service.status, service.location, service.body = 302, "/login", b"<html>Log in"
    assert "a web page answered" in ping(service).reason


def test_a_reason_that_repeats_the_address_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    service = Service()
    service.status, service.body = 404, f"no check {SECRET} at {service.url}".encode()
    assert SECRET not in ping(service).reason
    assert SECRET not in caplog.text
