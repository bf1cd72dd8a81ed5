"""The stream of changes of the status page, with real connections to a real loop."""

import asyncio
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import cast

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from alerts.web.live_page import LivePage
from alerts.web.stream import MAX_STREAMS, Stream
from exporter.serving.asgi import Server
from tests.alerts.conftest import AlertLoop, Sidecar, sidecar_page
from tests.alerts.streams import Crowd, Reader
from tests.fakes import LOOPBACK, wait_for

MakeLoop = Callable[..., AlertLoop]
OPEN_STREAMS, DEAF_STREAMS = 200, 5
ROUND_SECONDS, MEASURED_SECONDS = 0.5, 6.0


@pytest.fixture
def connect() -> Iterator[Callable[..., Reader]]:
    readers = []

    def make(*arguments: object, **options: object) -> Reader:
        readers.append(Reader(*arguments, **options))  # type: ignore[arg-type]
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


def _next_change(reader: Reader) -> tuple[str, dict[str, str]]:
    """Mark and parts of the next change."""
    while True:
        name, mark, data = reader.event()
        if name == "change":
            return mark, data["parts"]


def test_a_reader_gets_the_whole_page_and_then_what_changes(
    make_loop: MakeLoop, sidecar: Sidecar, connect: Callable[..., Reader]
) -> None:
    loop = make_loop({"a": sidecar})
    loop.start()
    reader = connect(loop.address)
    assert reader.status() == 200
    mark, parts = _next_change(reader)
    assert {"summary", "alerts", "peer-0", "board", "events"} <= set(parts)
    sidecar.serve(up=0, state=None)
    wait_for(lambda: "down" in _next_change(reader)[1].get("peer-0", ""), 10, "the peer is down", every=0)
    later, parts = _next_change(connect_after(connect, loop, mark))
    assert later != mark
    assert "board" not in parts
    assert "peer-0" in parts
    foreign = _next_change(connect_after(connect, loop, "0000-7"))[1]
    assert "board" in foreign


def connect_after(connect: Callable[..., Reader], loop: AlertLoop, mark: str) -> Reader:
    reader = connect(loop.address, mark)
    assert reader.status() == 200
    return reader


def test_an_acknowledgement_is_shown_at_once_and_not_at_the_next_round(
    make_loop: MakeLoop, sidecar: Sidecar, connect: Callable[..., Reader]
) -> None:
    sidecar.serve(footprint=2**33)
    loop = make_loop({"a": sidecar}, interval="60s")
    loop.start()
    wait_for(loop.firing, 10, "MemoryExceeded")
    reader = connect(loop.address)
    reader.status()
    assert "Acknowledge" in _next_change(reader)[1]["alerts"]
    content = {"rule": "MemoryExceeded", "peer": "a"}
    address = f"{loop.address}/api/acknowledgements"
    answer = httpx.post(address, json=content, headers={"Origin": loop.address}, timeout=60)
    assert answer.status_code == 200, answer.text
    wait_for(lambda: "acknowledged" in _next_change(reader)[1].get("alerts", ""), 10, "the acknowledgement", every=0)


def test_open_pages_end_with_the_loop_and_leave_no_error_in_the_log(
    make_loop: MakeLoop, sidecar: Sidecar, connect: Callable[..., Reader]
) -> None:
    loop = make_loop({"a": sidecar})
    loop.start()
    readers = [connect(loop.address) for _ in range(5)]
    assert {reader.status() for reader in readers} == {200}
    assert loop.stop() == 0
    assert "ERROR" not in loop.output()
    assert "Traceback" not in loop.output()
    assert all(reader.is_cut() for reader in readers)


def test_too_many_readers_are_turned_away_and_commands_still_get_through(
    make_loop: MakeLoop, sidecar: Sidecar, connect: Callable[..., Reader]
) -> None:
    loop = make_loop({"a": sidecar})
    loop.start()
    for _ in range(MAX_STREAMS):
        connect(loop.address)
    wait_for(lambda: connect(loop.address).status() == 503, 20, "a reader is turned away")
    assert loop.get("/api/status").status_code == 200
    assert loop.get("/-/healthy").status_code == 200


def test_200_readers_and_some_that_never_read_do_not_slow_the_rounds(
    make_loop: MakeLoop, sidecar: Sidecar, connect: Callable[..., Reader]
) -> None:
    scraped: list[float] = []

    def page() -> str:
        scraped.append(time.monotonic())
        return sidecar_page()

    def paces() -> list[float]:
        """Seconds between the rounds of some seconds, as the scraped peer sees them."""
        scraped.clear()
        time.sleep(MEASURED_SECONDS)
        return [later - earlier for earlier, later in pairwise(scraped)]

    sidecar.page = page
    loop = make_loop({"a": sidecar}, interval=f"{ROUND_SECONDS}s")
    loop.start()
    wait_for(lambda: len(scraped) > 2, 20, "the rounds go on")
    alone = paces()
    for _ in range(DEAF_STREAMS):
        connect(loop.address, receive_buffer=1024)
    with Crowd(loop.address, OPEN_STREAMS) as crowd:
        wait_for(lambda: crowd.answered() == OPEN_STREAMS, 30, "every reader has received something")
        before = crowd.received()
        watched = paces()
        wait_for(lambda: crowd.received() > before + OPEN_STREAMS * 1000, 10, "the readers go on receiving")
    # The readers themselves keep this machine busy, and others may, too.
    assert statistics.median(watched) < statistics.median(alone) + 4 * ROUND_SECONDS


class _Flood:
    """As `LivePage`, with a page that no socket holds."""

    is_closed = False
    changed = asyncio.Event()

    def since(self, _mark: str) -> tuple[str, bytes]:
        return "0-1", b'"' + b"x" * (32 * 2**20) + b'"'


def test_a_reader_that_does_not_read_is_disconnected_and_leaves_nothing_behind(connect: Callable[..., Reader]) -> None:
    async def serve() -> bool:
        app = Starlette(routes=[Route("/api/stream", Stream(cast(LivePage, _Flood()), {}))])
        listener = socket.create_server((LOOPBACK, 0))
        server = Server(uvicorn.Config(app, http="h11", log_config=None, lifespan="off"), request_seconds=0.5)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        port = listener.getsockname()[1]
        reader = connect(f"http://{LOOPBACK}:{port}", receive_buffer=1024)
        while not server.server_state.connections:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(120):
            while server.server_state.connections:
                await asyncio.sleep(0.05)
        server.should_exit = True
        await serving
        return reader.is_cut()

    assert asyncio.run(serve())
