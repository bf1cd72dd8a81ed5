"""The whole service on a real DHT: a hivemind peer publishes on loopback, a real process serves."""

import contextlib
import math
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgpack
import psutil
import pytest

from tests.exporter.leaderboard.service import A, B, Leaderboard, Seed, place, raw
from tests.exporter.sources.json_server import JsonServer
from tests.fakes import descendants, name_of, reserve_ports, still_alive, wait_for
from tests.programs import require
from trainer.protocol import RoundAndStage, leaderboard_value, outputs_key, outputs_value, rewards_key, rewards_key_of
from trainer.sealing import Seal
from trainer.swarm.identity import ensure_identity

TUPLE = 0x40


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seed]:
    node = Seed(tmp_path_factory.mktemp("seed"), reserve_ports(1)[0])
    yield node
    node.stop()


@pytest.fixture
def seed(node: Seed) -> Seed:
    node.publish(None)
    return node


@pytest.fixture(scope="module")
def lasting(node: Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leaderboard]:
    """One board for all tests that disturb it and see it go on, as each start takes seconds."""
    listen = f"127.0.0.1:{reserve_ports(1)[0]}"
    board = Leaderboard(tmp_path_factory.mktemp("lasting"), node.address, listen=listen)
    yield board
    if board.process.poll() is None:
        assert board.stop() == 0, board.output


class Watched:
    """The lasting board, and what two of its peers have earned; each test goes on in a later round."""

    number = 0

    def __init__(self, board: Leaderboard, seed: Seed) -> None:
        self.board, self._seed = board, seed
        self._sums = {peer: board.peer(peer).get("cumulative", 0.0) for peer in (A, B)}
        Watched.number += 1

    def earn(self, stage: int, a: float, b: float = 0.0) -> None:
        """Publishes sums of a stage of this test's round, and waits until they count."""
        self._seed.earn(Watched.number, stage, **({"a": a, "b": b} if b else {"a": a}))
        self._sums = {A: self._sums[A] + a, B: self._sums[B] + b}
        self.board.wait_for_cumulative(A, self._sums[A], 40)

    def is_kept(self) -> bool:
        return all(self.board.peer(peer).get("cumulative", 0.0) == self._sums[peer] for peer in (A, B))


@pytest.fixture
def watched(lasting: Leaderboard, seed: Seed) -> Watched:
    return Watched(lasting, seed)


def failures(board: Leaderboard) -> float:
    """Polls that failed so far."""
    return float(re.findall(r"^leaderboard_poll_failures_total (\S+)", board.get("/metrics").text, re.MULTILINE)[0])


def hostile_records(number: int, stage: int) -> list[dict[str, Any]]:
    key = rewards_key(number, stage)
    peers = [f"Qm{letter * 44}" for letter in "defghijkmnopqrstuvw"]
    values = [
        raw(math.nan),
        raw(math.inf),
        raw(-math.inf),
        raw(2**63),
        raw("9" * 1000),
        raw(b"\x00" * 100_000),
        raw(None),
        raw([1.0]),
        raw({"a": {"b": {"c": {"d": {"e": 1}}}}}),
        "91" * 5000 + "01",
        "91" * 300 + "01",
        "ddffffffff",
        "c1",
        "",
        "a2fffe",
        raw(msgpack.ExtType(TUPLE, b"\x91" * 400 + b"\x01")),
        raw(msgpack.ExtType(0x50, b"\xc1")),
        raw(msgpack.Timestamp(1, 1)),
        raw(1e300),
    ]
    assert len(values) == len(peers)
    records = [{"key": key, "subkey": peer, "raw": value} for peer, value in zip(peers, values, strict=True)]
    names = ["<script>alert(1)</script>", "x" * 100_000, 7, None, "Qm" + "0" * 44, ["a"]]
    records += [{"key": key, "subkey": name, "value": 5.0} for name in names if isinstance(name, str)]
    records.append({"key": key, "subkey": "Qm" + "y" * 44, "value": 5.0, "lives": 1e15})
    return records


@pytest.fixture(scope="module")
def attacked(node: Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leaderboard]:
    """A board that has read two peers' rewards among hostile records."""
    node.publish(None)
    at = RoundAndStage(3, 1)
    said = outputs_value(time.time(), at, A, question="<b>2+2?</b>", answer="4", completion="four " * 5000)
    packed = raw(msgpack.ExtType(TUPLE, msgpack.packb(said)))
    node.earn(3, 0, a=2.0)
    node.earn(3, 1, a=1.5, b=2.5)
    outputs = (("a" * 32, packed), ("b" * 32, "91" * 5000 + "01"))
    node.publish([{"key": outputs_key(A, 3, 1), "subkey": subkey, "raw": value} for subkey, value in outputs])
    node.publish([*hostile_records(3, 1), {"key": "rl_swarm_leaderboard_3_1", "value": leaderboard_value({A: 1.5})}])
    # Only now, so that its first poll finds all of it.
    board = Leaderboard(tmp_path_factory.mktemp("attacked"), node.address)
    board.wait_for_health()
    yield board
    assert board.stop() == 0, board.output


def test_good_records_count_and_hostile_ones_cost_only_themselves(attacked: Leaderboard) -> None:
    page = attacked.peer(A)
    assert page == {
        "id": A,
        "nickname": "<i>ours</i>",
        "rank": 1,
        "total": 2,
        "establishedRank": 1,
        "establishedTotal": 2,
        "verified": True,
        "cumulative": 3.5,
        "stageReward": 1.5,
        "round": 3,
        "stage": 1,
        "lastSeen": pytest.approx(time.time(), abs=120),
    }
    leaders = attacked.get("/api/leaderboard").json()
    assert [(leader["id"], leader["score"]) for leader in leaders["leaders"]] == [(B, 2.5), (A, 1.5)]
    gossip = wait_for(lambda: attacked.get("/api/gossip").json()["messages"], 10, "gossip")
    assert (gossip[0]["node"], gossip[0]["nodeId"]) == ("<i>ours</i>", A)
    assert gossip[0]["message"].startswith("<i>ours</i>: <b>2+2?</b> → four four")
    assert len(gossip[0]["message"]) < 1000
    assert httpx.post(f"{attacked.url}/api/id-to-name", content=b" " * 5_000_000, timeout=60).status_code == 413


def test_the_metrics_page_passes_the_linter(attacked: Leaderboard) -> None:
    page = attacked.get("/metrics").text
    assert "leaderboard_peers 2.0" in page
    assert 'leaderboard_rejected_records_total{reason="reward"} 0.0' not in page
    assert "leaderboard_dht_nodes 1.0" in page
    checked = subprocess.run(
        [require("promtool"), "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_hundreds_of_connections_that_send_nothing_do_not_close_the_board(attacked: Leaderboard) -> None:
    address = ("127.0.0.1", int(attacked.url.rsplit(":", 1)[1]))
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(400)]
        for connection in silent:
            connection.sendall(b"G")
        assert attacked.get("/api/leaderboard").status_code == 200
        assert attacked.get("/metrics").status_code == 200
        foreign = {"Host": "evil.example"}
        assert httpx.get(f"{attacked.url}/api/leaderboard", headers=foreign, timeout=60).status_code == 421


def test_an_emptied_dht_takes_nothing_away(watched: Watched, seed: Seed) -> None:
    watched.earn(0, a=4.0, b=1.0)
    before = failures(watched.board)
    seed.publish(None)
    wait_for(lambda: failures(watched.board) > before, 20, "a failed poll")
    assert watched.is_kept()
    assert watched.board.peer(A)["rank"] == 1
    watched.earn(1, a=1.0)


def test_a_killed_reader_is_replaced_and_its_dht_ends(watched: Watched) -> None:
    watched.earn(0, a=4.0)
    family = descendants(watched.board.process.pid)
    psutil.Process(watched.board.process.pid).children()[0].kill()
    watched.earn(1, a=1.0)
    wait_for(lambda: not still_alive(family), 8, f"no orphan: {still_alive(family)}")


def test_a_swarm_that_vanishes_and_returns_is_found_again(watched: Watched, seed: Seed) -> None:
    watched.earn(0, a=4.0)
    before = failures(watched.board)
    seed.stop()
    wait_for(lambda: failures(watched.board) > before, 30, "a failed poll")
    assert watched.is_kept()
    seed.start()
    watched.earn(1, a=1.0)


def test_the_board_outlives_a_kill_and_leaves_no_process(watched: Watched, seed: Seed) -> None:
    watched.earn(0, a=4.0, b=1.0)
    board = watched.board
    family = descendants(board.process.pid)
    assert any("p2pd" in name_of(process) for process in family)
    before = board.url
    board.process.kill()
    board.process.communicate()
    seed.publish(None)
    board.start()
    assert board.url == before
    wait_for(lambda: not still_alive(family), 8, f"no orphan: {still_alive(family)}")
    watched.earn(1, a=1.0)
    assert watched.is_kept()


def test_a_signed_board_counts_what_the_owners_sealed_and_nothing_else(seed: Seed, tmp_path: Path) -> None:
    ensure_identity(tmp_path / "a.pem")
    ensure_identity(tmp_path / "b.pem")
    member, stranger = Seal.read(tmp_path / "a.pem"), Seal.read(tmp_path / "b.pem")

    def sealed(seal: Seal, key: str, value: Any, subkey: str | None = None) -> dict[str, Any]:
        expires = time.time() + 3 * 3600.0
        payload = seal.close(key, subkey, msgpack.packb(value), expires)
        return {"key": key, "subkey": subkey, "raw": raw(payload), "expires": expires}

    seed.publish([sealed(member, "rl_swarm_rs", [0, 1]), sealed(member, rewards_key(0, 0), 2.5, member.peer_id)])
    seed.publish([sealed(stranger, rewards_key(0, 1), 1e6, stranger.peer_id)])
    seed.publish([{"key": rewards_key(1, 0), "subkey": "Qm" + letter * 44, "value": 1e6} for letter in "abc"])
    members = {"signed": True, "leaders": [member.peer_id], "members": [member.peer_id], "names": {}}
    board = Leaderboard(tmp_path, seed.address, **members)
    try:
        board.wait_for_cumulative(member.peer_id, 2.5)
        leaders = board.get("/api/leaderboard-cumulative").json()["leaders"]
        assert [leader["id"] for leader in leaders] == [member.peer_id]
        assert board.get("/api/round_and_stage").json() == {"round": 0, "stage": 1}
    finally:
        assert board.stop() == 0, board.output


def test_a_board_of_rewards_that_are_spread_over_keys(seed: Seed, tmp_path: Path) -> None:
    peers = {f"Qm{letter * 44}": float(number) for number, letter in enumerate("abcdefgh", start=1)}
    seed.publish([place(0, 0)])
    seed.publish([{"key": rewards_key_of(one, 0, 0, 5), "subkey": one, "value": sum_} for one, sum_ in peers.items()])
    board = Leaderboard(tmp_path, seed.address, shards=5)
    try:
        board.wait_for_cumulative(A, 1.0)
        assert board.peer(A)["total"] == len(peers)
    finally:
        assert board.stop() == 0, board.output


def test_it_answers_before_the_swarm_is_there(tmp_path: Path) -> None:
    [port] = reserve_ports(1)
    board = Leaderboard(tmp_path, f"/ip4/127.0.0.1/tcp/{port}/p2p/{A}")
    try:
        assert board.get("/api/round_and_stage").json() == {"round": -1, "stage": -1}
        assert board.get("/api/healthz").status_code == 500
        assert board.get(f"/api/peers/{A}").status_code == 503
        wait_for(lambda: "poll_failures_total 0.0" not in board.get("/metrics").text, 30, "a failed poll")
    finally:
        assert board.stop() == 0
    assert "poll failed: no initial peer accepts connections yet" in board.output
    assert "Traceback" not in board.output


def test_sources_are_read_and_served_where_there_is_no_board(tmp_path: Path) -> None:
    dashboard = JsonServer()
    dashboard.answers["/api/v1/peer"] = {"peerId": f"0xab|{A}", "peerName": "meek owl", "reward": 7, "score": 2}
    settings = {"initial_peers": [], "sources": [{"kind": "dashboard", "url": dashboard.url}], "names": {}}
    board = Leaderboard(tmp_path, "", **settings)
    try:
        board.get(f"/api/standings/{A}")

        def told() -> list[dict[str, Any]]:
            (source,) = board.get(f"/api/standings/{A}").json()["sources"]
            return source["standings"] if source["up"] else []

        (standing,) = wait_for(told, 20, "the dashboard is read")
        assert (standing["reward"], standing["name"]) == (7, "meek owl")
        board.wait_for_health()
        assert board.get(f"/api/peers/{A}").status_code == 404
        assert not descendants(board.process.pid)
        assert (tmp_path / "changes.json").stat().st_mode & 0o077 == 0
    finally:
        assert board.stop() == 0
        dashboard.close()
    assert "Traceback" not in board.output


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        board = Leaderboard(tmp_path, f"/ip4/127.0.0.1/tcp/1/p2p/{A}", listen=f"127.0.0.1:{port}")
        rest = board.process.communicate()[0]
    assert board.process.returncode == 1
    assert board.first_line.startswith(f"leaderboard: cannot listen on 127.0.0.1:{port}: Address already in use; ")
    assert rest == ""


def test_a_missing_configuration_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "exporter.leaderboard", "--config", str(tmp_path / "absent.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        2,
        f"leaderboard: {tmp_path / 'absent.yaml'}: No such file or directory\n",
    )


def test_the_serving_process_loads_neither_torch_nor_hivemind() -> None:
    code = "import exporter.leaderboard.__main__, sys; print({'torch', 'hivemind', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
