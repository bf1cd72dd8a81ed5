"""The board of a swarm of rl-swarm 0.4, from the records that its peers write, on a real DHT.

Keys and values are written here as `hivemind_exp/dht_utils.py` and `hivemind_grpo_trainer.py` of 0.4.3 write them: of a
testnet swarm, in which the contract has the round and nobody announces it.
"""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from exporter.collectors.standing import Collector
from exporter.config import SidecarConfig
from exporter.watch_file import SwarmIdentity, Watch
from tests.exporter.identity.test_own_peer import write_key
from tests.exporter.leaderboard.test_service import Leaderboard, Seed, raw
from tests.exporter.sources.json_server import JsonServer
from tests.fakes import reserve_ports, wait_for

OTHER = "QmY9ntFFc3ewZQZRrUzY8N5GvKQpzaN2TAHKnYKCr1vCHg"
QUESTION = "How much is 2 + 2?"
TUPLE = 0x40


def write_checkout(folder: Path) -> None:
    names = folder / "hivemind_exp" / "name_utils.py"
    names.parent.mkdir(parents=True)
    names.write_text('ADJECTIVES = ["sly", "meek"]\nANIMALS = ["fox", "owl"]\n')


def reward(peer_id: str, number: int, stage: int, value: float) -> dict[str, object]:
    return {"key": f"rl_swarm_rewards_{number}_{stage}", "subkey": peer_id, "value": value}


def output(peer_id: str, number: int, stage: int) -> dict[str, object]:
    said = {
        "question": QUESTION,
        "answer": "4",
        "agent_opinion": {peer_id: "<explain>Two and two.</explain>"},
        "stage3_prompt": f"The question we were given is: {QUESTION}",
    }
    packed = msgpack.ExtType(TUPLE, msgpack.packb([time.time(), said]))
    subkey = hashlib.md5(QUESTION.encode(), usedforsecurity=False).hexdigest()
    return {"key": f"rl_swarm_outputs_{peer_id}_{number}_{stage}", "subkey": subkey, "raw": raw(packed)}


@pytest.fixture
def dashboard() -> Iterator[JsonServer]:
    """What tells the round, as the contract does."""
    server = JsonServer()
    yield server
    server.close()


def test_ranks_and_sums_of_a_swarm_whose_round_is_on_its_chain(tmp_path: Path, dashboard: JsonServer) -> None:
    ours = write_key(tmp_path / "swarm.pem", "ours")
    write_checkout(tmp_path)
    dashboard.answers["/api/v1/peer"] = {"peerId": ours, "peerName": "meek sly owl", "reward": 7, "score": 2}
    dashboard.answers["/api/v1/round-stage"] = {"round": 57, "stage": 2}
    seed = Seed(tmp_path, reserve_ports(1)[0])
    board = Leaderboard(
        tmp_path,
        seed.address,
        names={},
        identities={"fox": str(tmp_path / "swarm.pem")},
        checkouts=[str(tmp_path)],
        sources=[{"kind": "dashboard", "url": dashboard.url}],
    )
    try:
        # Each stage's sum begins at 0; the coordinator's list and what is no reward are not what counts.
        seed.publish(
            [
                *(reward(ours, 57, 0, 2.0), reward(OTHER, 57, 0, 1.5)),
                *(reward(ours, 57, 1, 0.5), reward(OTHER, 57, 1, 4.0)),
                *(reward(ours, 57, 2, 1.25), reward(OTHER, 57, 2, 0.0)),
                *(output(ours, 57, 2), output(OTHER, 57, 1)),
                {"key": "rl_swarm_leaderboard_57_1", "value": [[ours, 99.0]]},
                {"key": "rl_swarm_rewards_57_2", "subkey": "QmNobody", "value": 50.0},
            ]
        )
        board.wait_for_cumulative(ours, 3.75)
        page = board.peer(OTHER)
        assert (page["rank"], page["total"], page["cumulative"], page["stageReward"]) == (1, 2, 5.5, 0.0)
        assert (page["round"], page["stage"]) == (57, 2)
        assert board.peer(ours)["nickname"] == "fox"
        digest = hashlib.md5(OTHER.encode(), usedforsecurity=False).digest()
        words = [("sly", "meek")[digest[place] % 2] for place in (2, 1)]
        assert page["nickname"] == " ".join([*words, ("fox", "owl")[digest[0] % 2]])
        gossip = wait_for(lambda: board.get("/api/gossip").json()["messages"], 10, "gossip")
        assert QUESTION in gossip[0]["message"]

        # The next round; a peer that writes its first stage's sum again only repeats it.
        dashboard.answers["/api/v1/round-stage"] = {"round": 58, "stage": 0}
        seed.publish([reward(ours, 58, 0, 2.0), reward(ours, 58, 0, 2.5)])
        board.wait_for_cumulative(ours, 6.25)

        watch = Watch(None, {}, {}, SwarmIdentity(identity_path=str(tmp_path / "swarm.pem")))
        collector = Collector.configured(SidecarConfig(tmp_path, leaderboard_url=board.url, watch=watch))
        assert collector is not None
        shown = {sample.name: sample.value for sample in collector.collect(time.time())}
        assert (shown["swarm_rank"], shown["swarm_reward_cumulative"], shown["swarm_ranked_peers"]) == (1, 6.25, 2)
    finally:
        assert board.stop() == 0, board.output
        seed.stop()
