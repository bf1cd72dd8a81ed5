"""A search of the DHT that does not end is no empty answer: the reader is replaced; lost initial peers are dialled."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exporter.leaderboard.config import LeaderboardConfig
from tests.exporter.leaderboard.service import Seed, place
from tests.fakes import reserve_ports, wait_for

PEER = "Qm" + "a" * 44
CONFIG = LeaderboardConfig(database=Path("board.sqlite"), initial_peers=[f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}"])


class Node:
    """Finds nothing under one key, and never answers for another."""

    protocol = SimpleNamespace(routing_table=SimpleNamespace(uid_to_peer_id={1: PEER}))

    async def get_many(self, keys: set[str], **_options: Any) -> dict[str, "asyncio.Future[Any]"]:
        searches = {key: asyncio.get_running_loop().create_future() for key in keys}
        searches["rl_swarm_rs"].set_result(None)
        return searches


class Process:
    """Runs a coroutine as the DHT's process does."""

    leaderboard_config = CONFIG

    def is_alive(self) -> bool:
        return True

    def run_coroutine(self, coroutine: Any, *, return_future: bool) -> Any:
        return SimpleNamespace(result=lambda _seconds: asyncio.run(coroutine(self, Node())))


def test_a_key_that_is_not_answered_ends_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    from exporter.leaderboard import dht

    monkeypatch.setattr(dht, "READ_SECONDS", 0.02)
    assert json.loads(dht._ask(Process(), [["position"]])) == {"peers": 1, "answers": [None], "unfinished": 0}
    with pytest.raises(dht._Lost, match="the DHT did not answer within 0 s"):
        dht._ask(Process(), [["position"], ["rewards", 3, 1]])


@pytest.mark.filterwarnings("ignore")
def test_the_other_half_of_a_swarm_is_found_by_dialling_the_initial_peers(tmp_path: Path) -> None:
    from exporter.leaderboard import dht

    for name in ("left", "right"):
        (tmp_path / name).mkdir()
    left, right = (Seed(tmp_path / name, port) for name, port in zip(("left", "right"), reserve_ports(2), strict=True))
    right.stop()
    reader = dht.join(CONFIG, [left.address, right.address])
    try:
        right.start()
        right.publish([place(9, 1)])
        assert json.loads(dht._ask(reader, [["position"]]))["answers"] == [None]

        # libp2p waits for some seconds before it dials again whom it has just not reached.
        wait_for(lambda: dht._in_dht(reader, dht.dial) == 1, 20, "a connection to the other half")

        assert json.loads(dht._ask(reader, [["position"]]))["answers"] == [[9, 1]]
        assert dht._in_dht(reader, dht.dial) == 0
    finally:
        reader.shutdown()
        left.stop()
        right.stop()
