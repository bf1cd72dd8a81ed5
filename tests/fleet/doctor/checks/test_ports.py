"""A port that something else listens on is named, with who it is."""

import os
import socket

from fleet.doctor.findings import Level
from tests.fakes import LOOPBACK
from tests.fleet.doctor.conftest import Examine, messages


def test_a_taken_port_is_a_failure(examine: Examine) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = messages(examine("ports", f"fleet: a\nports: {{leaderboard: {port}}}\n"), Level.FAILURE)
    assert f"port {port} of the leaderboard is in use" in found
    assert f"(pid {os.getpid()})" in found


def test_free_ports_are_ok(examine: Examine) -> None:
    assert [one.message for one in examine("ports")] == ["4 ports are free"]
