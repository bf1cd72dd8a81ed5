"""The board of a swarm of rl-swarm 0.4, from the records that its peers write, on a real DHT.

Keys and values are written here as `hivemind_exp/dht_utils.py` and `hivemind_grpo_trainer.py` of 0.4.3 write them: of a
testnet swarm, in which the contract has the round and nobody announces it. Only the contract, on a real node, names
the peers by which it is joined.
"""

import hashlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import msgpack
import pytest

from exporter.chain.coordinator import CHAIN_ID
from fleet.configuration.load import load_text
from fleet.processes.files import configurations, make_folders, write
from fleet.processes.programs import plan_programs
from tests.exporter.identity.test_own_peer import write_key
from tests.exporter.leaderboard.service import Leaderboard, Seed, raw
from tests.exporter.sources.evm_node import Node, RpcServer, compile_coordinator, compile_multicall
from tests.fakes import get, reserve_ports, wait_for

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


FILE = """
fleet: watched
ports: {{leaderboard: {board}, alerts: {alerts}, sidecar: {sidecar}}}
sidecar_interval: 0.3s
peers:
  - name: fox
    kind: attached
    find: {{folder: checkout, command: train_single_gpu}}
    identity: checkout/swarm.pem
    contract: "{contract}"
    progress: [{{log: {{path: logs/swarm.log}}}}]
sources:
  - {{kind: chain, rpc: ["{rpc}"], multicall: "{multicall}", max_block_age_seconds: 86400}}
  - kind: dht
leaderboard: {{poll_interval_seconds: 0.3}}
"""


class Chain:
    """A real node; its contract has the swarm's round, and names the peers by which its DHT is joined."""

    def __init__(self, bootnode: str, peer_id: str) -> None:
        self._node = Node()
        self.contract = self._node.deploy(compile_coordinator())
        self.multicall = self._node.deploy(compile_multicall())
        for signature, *arguments in (
            ("addBootnode(string)", bootnode),
            ("registerPeer(string)", peer_id),
            ("submitReward(string,int256)", peer_id, 7),
            ("advance(uint256,uint256)", 57, 2),
        ):
            self._node.send(self.contract, signature, *arguments)
        self._node.mine()
        self.service = RpcServer(self._node, CHAIN_ID)


class Sidecar:
    """`python -m exporter` as the fleet starts it."""

    def __init__(self, command: list[str], port: int) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self._url = f"http://127.0.0.1:{port}/metrics"

    def values(self) -> dict[str, float]:
        """The samples about the swarm, by name and labels as they are written."""
        try:
            lines = get(self._url).text.splitlines()
        except httpx.TransportError:
            return {}
        return {name: float(value) for name, value in (line.split() for line in lines if line.startswith("swarm_"))}

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(90)


class Swarm:
    """A swarm's first peer and its contract, and the processes of a fleet that watches another peer of it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """`stack` ends what it begins."""
        checkout = folder / "checkout"
        write_checkout(checkout)
        self.ours = write_key(checkout / "swarm.pem", "ours")
        self.seed = Seed(folder, reserve_ports(1)[0])
        stack.callback(self.seed.stop)
        self.chain = Chain(self.seed.address, self.ours)
        stack.callback(self.chain.service.close)
        ports = dict(zip(("board", "alerts", "sidecar"), reserve_ports(3), strict=True))
        text = FILE.format(
            **ports, contract=self.chain.contract, rpc=self.chain.service.url, multicall=self.chain.multicall
        )
        loaded = load_text(text, "peerwatch.yaml", folder, folder / "state")
        assert loaded.lines() == []
        assert loaded.config is not None
        make_folders(loaded.folder, loaded.peers)
        files = configurations(loaded.composition, loaded.folder)
        for path, content in files.values():
            write(path, content)
        assert self.seed.address not in files["leaderboard"][1]
        planned = plan_programs(loaded.config, loaded.peers, loaded.folder, "test", base=folder)
        (command,) = [one.command for one in planned if one.title == "sidecar:fox"]
        self.board = Leaderboard.of(files["leaderboard"][0])
        stack.callback(self._end_board)
        self.sidecar = Sidecar(list(command[command.index("--") + 1 :]), ports["sidecar"])
        stack.callback(self.sidecar.close)

    def _end_board(self) -> None:
        assert self.board.stop() == 0, self.board.output


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Swarm]:
    with ExitStack() as stack:
        yield Swarm(tmp_path, stack)


def test_a_swarm_is_joined_by_its_contract_and_ranked_on_the_sidecars_page(swarm: Swarm) -> None:
    ours, board, sidecar = swarm.ours, swarm.board, swarm.sidecar
    # Each stage's sum begins at 0; the coordinator's list and what is no reward are not what counts.
    swarm.seed.publish(
        [
            *(reward(ours, 57, 0, 2.0), reward(OTHER, 57, 0, 1.5)),
            *(reward(ours, 57, 1, 0.5), reward(OTHER, 57, 1, 4.0)),
            *(reward(ours, 57, 2, 1.25), reward(OTHER, 57, 2, 0.0)),
            *(output(ours, 57, 2), output(OTHER, 57, 1)),
            {"key": "rl_swarm_leaderboard_57_1", "value": [[ours, 99.0]]},
            {"key": "rl_swarm_rewards_57_2", "subkey": "QmNobody", "value": 50.0},
        ]
    )
    board.wait_for_cumulative(ours, 3.75, 60)
    page = board.peer(OTHER)
    assert (page["rank"], page["total"], page["cumulative"], page["stageReward"]) == (1, 2, 5.5, 0.0)
    assert (page["round"], page["stage"]) == (57, 2)
    assert board.peer(ours)["nickname"] == "fox"
    digest = hashlib.md5(OTHER.encode(), usedforsecurity=False).digest()
    words = [("sly", "meek")[digest[place] % 2] for place in (2, 1)]
    assert page["nickname"] == " ".join([*words, ("fox", "owl")[digest[0] % 2]])
    gossip = wait_for(lambda: board.get("/api/gossip").json()["messages"], 10, "gossip")
    assert QUESTION in gossip[0]["message"]
    wait_for(lambda: sidecar.values().get("swarm_rank") == 2, 30, "the rank is on the page")

    # The next round; a peer that writes its first stage's sum again only repeats it.
    swarm.seed.publish([reward(ours, 58, 0, 2.0), reward(ours, 58, 0, 2.5)])
    wait_for(lambda: sidecar.values().get("swarm_rank") == 1, 30, "the peer is first")
    shown = sidecar.values()
    assert (shown["swarm_reward_cumulative"], shown["swarm_ranked_peers"]) == (6.25, 2)
    # Its total on the contract is another thing than its sum in the DHT.
    credited = {name: value for name, value in shown.items() if name.startswith("swarm_source_reward{")}
    assert list(credited.values()) == [7]
    assert swarm.chain.contract.lower() in next(iter(credited))
