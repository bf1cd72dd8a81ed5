"""The clock is compared over the real protocol with a server that may be ahead, behind, silent or forged."""

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fleet.doctor.checks import clock
from fleet.doctor.findings import Level
from tests.fakes import LOOPBACK, reserve_ports
from tests.fleet.doctor.conftest import Examine, messages

EPOCH_IN_1900 = 2208988800


@pytest.fixture
def time_server() -> Iterator[Callable[..., str]]:
    """Starts a server whose clock is off by so many seconds; its address."""
    sockets = []

    def start(offset: float, *, stratum: int = 2, cookie: bytes | None = None) -> str:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((LOOPBACK, 0))
        sockets.append(server)

        def serve() -> None:
            while True:
                try:
                    packet, client = server.recvfrom(512)
                except OSError:
                    return
                now = time.time() + offset + EPOCH_IN_1900
                stamp = struct.pack("!2I", int(now), int(now % 1 * 2**32))
                answer = bytes([4 << 3 | 4, stratum]) + bytes(22) + (cookie or packet[40:48]) + stamp + stamp
                server.sendto(answer, client)

        threading.Thread(target=serve, daemon=True).start()
        return f"{LOOPBACK}:{server.getsockname()[1]}"

    yield start
    for server in sockets:
        server.close()


def test_a_clock_that_agrees_is_ok(examine: Examine, time_server: Callable[..., str]) -> None:
    assert [one.level for one in examine("clock", time_server=time_server(0.5))] == [Level.OK]


@pytest.mark.parametrize(
    ("offset", "level", "text"),
    [
        (10.0, Level.WARNING, r"(\S+) s behind "),
        (-3600.0, Level.FAILURE, r"(\S+) s ahead of "),
    ],
)
def test_a_clock_that_is_off_is_named(
    examine: Examine, time_server: Callable[..., str], offset: float, level: Level, text: str
) -> None:
    found = messages(examine("clock", time_server=time_server(offset), platform="linux"), level)
    told = re.search(text, found)
    assert told, found
    assert float(told[1]) == pytest.approx(abs(offset), abs=2)  # a busy machine delays one of the two packets
    assert "timedatectl set-ntp true" in found


def test_a_server_that_does_not_answer_is_a_warning(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "ANSWER_SECONDS", 0.2)
    (port,) = reserve_ports(1)
    assert "cannot compare the clock" in messages(examine("clock", time_server=f"{LOOPBACK}:{port}"), Level.WARNING)


def test_a_forged_answer_and_a_refusal_are_not_believed(examine: Examine, time_server: Callable[..., str]) -> None:
    forged = examine("clock", time_server=time_server(-3600.0, cookie=b"12345678"))
    assert "another service answered, not a time server" in messages(forged, Level.WARNING)
    refused = examine("clock", time_server=time_server(-3600.0, stratum=0))
    assert "refuses to answer" in messages(refused, Level.WARNING)
