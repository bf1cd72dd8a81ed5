"""A peer's node on a real DHT: what strangers write, and the loss of p2pd, end neither it nor its publishing."""

import itertools
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fakes import LOOPBACK, PATIENCE, wait_for
from tests.trainer.swarm.conftest import MakeSwarm, earn, plant
from tests.trainer.swarm.test_publisher import AT, FakeTelemetry
from trainer.protocol import rewards_key
from trainer.readable import MAX_VALUE_BYTES
from trainer.swarm.leftovers import find_daemon
from trainer.swarm.publisher import MAX_BOARD_PEERS, Publisher

PEER = "QmcWq6BpmqBwrui8BcNGm36ks4XCKQkH8rENKnfhkAgthf"
KEY = rewards_key(*AT)

# The node is forked from this process, where a warning of what it imports would end it.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def leader(make_swarm: MakeSwarm) -> Any:
    return make_swarm(leader=True)


@pytest.fixture(scope="module")
def follower(make_swarm: MakeSwarm, leader: Any) -> Any:
    return make_swarm(initial_peers=leader.addresses)


def crowd(count: int) -> dict[str | None, float]:
    """Rewards of that many strangers, from 0 up."""
    letters = "abcdefghijkmnopqrstuvwxyz"
    ids = ("".join(trio) for trio in itertools.product(letters, repeat=3))
    return {f"Qm{trio}{'b' * 41}": float(number) for number, trio in zip(range(count), ids, strict=False)}


def test_the_board_of_a_crowd_of_strangers_is_published(leader: Any, follower: Any, tmp_path: Path) -> None:
    plant(leader, KEY, crowd(1500))
    telemetry = FakeTelemetry()
    publisher = Publisher(leader, telemetry, tmp_path, PEER, interval_seconds=0.1)
    publisher.start()
    publisher.announce(AT, is_new=True)
    wait_for(lambda: len(telemetry.published_at) >= 2, 60, "round and board")
    earn(publisher, AT, 1.5)
    publisher.close(60)

    assert leader.is_alive()
    board = follower.get("rl_swarm_leaderboard_3_1")
    assert len(board) == MAX_BOARD_PEERS
    assert board[0][1] == 1499.0
    assert follower.get(KEY)[PEER] == 1.5


def test_a_value_of_any_size_up_to_the_limit_arrives_whole(leader: Any, follower: Any) -> None:
    for size in (2040, 2048, 2060, 16_384, MAX_VALUE_BYTES - 10):
        value = ("é" * size)[: size // 2]
        assert leader.store(f"size {size}", value)
        assert follower.get(f"size {size}") == value


def test_a_value_beyond_the_limit_is_refused_before_the_pipe(leader: Any) -> None:
    with pytest.raises(ValueError, match=r"huge cannot be stored: \d+ bytes; readers take 65536"):
        leader.store("huge", "x" * 10_000_000)
    with pytest.raises(ValueError, match="odd cannot be stored"):
        leader.store("odd", object())
    assert leader.store("small", 1)


def test_a_reward_that_a_stranger_overwrote_holds_up_nothing(leader: Any, follower: Any, tmp_path: Path) -> None:
    for swarm in (leader, follower):
        plant(swarm, rewards_key(8, 0), {PEER: -5.0}, lives=24 * 3600.0)
    telemetry = FakeTelemetry()
    publisher = Publisher(follower, telemetry, tmp_path, PEER, interval_seconds=0.1)
    earn(publisher, AT._replace(round=8, stage=0), 1.0)
    earn(publisher, AT._replace(round=8, stage=1), 2.0)
    publisher.start()
    wait_for(lambda: telemetry.published_at, 30, "the later reward")
    publisher.close(60)

    assert leader.get(rewards_key(8, 0)) == {PEER: -5.0}
    assert leader.get(rewards_key(8, 1)) == {PEER: 2.0}
    assert telemetry.failures


def test_a_node_whose_p2pd_was_killed_is_built_again(leader: Any, follower: Any) -> None:
    assert leader.store("kept", 7)
    before = leader.addresses
    daemon = find_daemon(psutil.Process(leader._dht.pid))
    assert daemon is not None
    assert not leader.restore_node()
    daemon.send_signal(signal.SIGKILL)
    began = time.monotonic()
    wait_for(leader.restore_node, 10, "the loss is noticed")

    assert leader.is_alive()
    assert leader.addresses == before
    wait_for(lambda: follower.dial_initial_peers() or follower.connected_peers(), 20, "the follower connects")
    assert leader.store("after", 8)
    wait_for(lambda: (follower.get("kept"), follower.get("after")) == (7, 8), 20, "both values")
    assert time.monotonic() - began < 30 * PATIENCE


def test_a_restarted_peer_is_no_second_one(make_swarm: MakeSwarm, leader: Any, tmp_path: Path) -> None:
    make_swarm(tmp_path, initial_peers=leader.addresses).close()
    make_swarm(tmp_path, initial_peers=leader.addresses)

    assert all(leader.store(rewards_key(20, number), 1.0, PEER) for number in range(12))


def test_a_port_that_a_connection_holds_is_waited_for(make_swarm: MakeSwarm, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        connection = socket.create_connection(server.getsockname())
        port = connection.getsockname()[1]
        accepted, _ = server.accept()
    # Who ends it first keeps its port for a minute.
    accepted.close()
    threading.Timer(1.5, connection.close).start()
    began = time.monotonic()
    swarm = make_swarm(leader=True, port=port)
    assert time.monotonic() - began > 1.5
    assert f"/tcp/{port}/" in swarm.addresses[0]
    assert [record.getMessage() for record in caplog.records if record.name == "trainer.swarm.dht"] == [
        f"swarm.port: a connection to elsewhere holds port {port}; waiting for it, 90 s at most"
    ]
