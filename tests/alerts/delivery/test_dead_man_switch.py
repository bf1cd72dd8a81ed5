"""The heartbeat, over a real socket."""

import asyncio
import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from alerts.delivery.dead_man_switch import DeadManSwitch
from tests.fakes import LOOPBACK

SECRET = "hunter2-hunter2"


class Service:
    """Counts the requests for its secret address."""

    def __init__(self) -> None:
        self.status = 200
        self.pings = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.pings += self.path == f"/{SECRET}"
                self.send_response(service.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}/{SECRET}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


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
        "deadman: heartbeat delivery failed: the service answered 500; retried every 0.02 s",
        "deadman: heartbeat delivery recovered",
    ]
    assert SECRET not in caplog.text
