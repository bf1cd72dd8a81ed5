"""Initial peers are really asked: libp2p's daemon answers; a closed port and a web server are not taken for one."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.doctor.findings import Level
from tests.fakes import LOOPBACK, Webhook, reserve_ports
from tests.fleet.doctor.conftest import Examine, messages

ID = "Qm" + "1" * 44


def _swarm(*addresses: str) -> str:
    return f"swarm: {{initial_peers: [{', '.join(addresses)}]}}\n"


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[str]:
    """The address of a real libp2p host."""
    found = importlib.util.find_spec("hivemind")
    assert found is not None
    assert found.origin is not None
    program = Path(found.origin).parent / "hivemind_cli" / "p2pd"
    command = [program, f"-listen=/unix/{tmp_path}/p.sock", f"-hostAddrs=/ip4/{LOOPBACK}/tcp/0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as daemon:
        assert daemon.stdout is not None
        port = next(match[1] for line in daemon.stdout if (match := re.match(r"/ip4/[\d.]+/tcp/(\d+)", line)))
        yield f"/ip4/{LOOPBACK}/tcp/{port}/p2p/{ID}"
        daemon.kill()


def test_a_peer_that_answers_is_ok(examine: Examine, peer: str) -> None:
    assert [one.message for one in examine("dht", _swarm(peer))] == ["1 of 1 initial peers answer"]


def test_a_swarm_without_an_answer_is_a_failure(examine: Examine) -> None:
    (port,) = reserve_ports(1)
    found = examine("dht", _swarm(f"/ip4/{LOOPBACK}/tcp/{port}/p2p/{ID}"))
    assert "connection refused" in messages(found, Level.WARNING)
    assert "no initial peer answers" in messages(found, Level.FAILURE)


def test_another_service_on_the_port_is_no_peer(examine: Examine, peer: str) -> None:
    web = Webhook()
    try:
        port = web.url.rstrip("/").rpartition(":")[2]
        found = examine("dht", _swarm(f"/dns4/localhost/tcp/{port}/p2p/{ID}", peer))
    finally:
        web.close()
    assert "initial peer /dns4/localhost" in messages(found, Level.WARNING)
    assert messages(found, Level.OK).startswith("1 of 2 initial peers answer")
