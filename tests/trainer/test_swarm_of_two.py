"""A leader and a follower in a private swarm on loopback: what other clients read of them, and what they log."""

import hashlib
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.fakes import name_of, wait_for
from tests.trainer.peers import QUICK, SHORT, Peer, read_swarm
from trainer.swarm.identity import read_peer_id

# The leader closes a stage, and publishes its board, after its own last step: it takes the longest, so that its
# follower's sums are there by then.
LAST_TO_FINISH = """
import time
def ones(completions, **kwargs):
    time.sleep(0.4)
    return [1.0] * len(completions)
"""

MakePeer = Callable[..., Peer]


class Pair(NamedTuple):
    """A leader, and a follower that has finished its rounds."""

    leader: Peer
    follower: Peer
    exit_code: int

    def stages_of(self, peer: Peer) -> dict[tuple[int, int], list[dict[str, str]]]:
        stages: dict[tuple[int, int], list[dict[str, str]]] = {}
        for step in peer.steps():
            stages.setdefault((int(step["round"]), int(step["stage"])), []).append(step)
        return stages


@pytest.fixture(scope="module")
def pair(make_peer: MakePeer, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    source = tmp_path_factory.mktemp("rewards") / "patient.py"
    source.write_text(LAST_TO_FINISH)
    leader = make_peer("leader", swarm={"port": 0, "leader": True}, rewards=[f"{source}:ones"], **SHORT).start()
    swarm = {"port": 0, "initial_peers": [leader.address()]}
    options = {**SHORT, "grpo": {**QUICK, "max_steps": 26}}
    follower = make_peer("follower", swarm=swarm, **options).start("--finished-exit-code", "7")
    leader.wait_for_steps(1)
    assert follower.process is not None
    return Pair(leader, follower, follower.process.wait(600))


@pytest.fixture(scope="module")
def published(pair: Pair) -> dict[str, Any]:
    """What a client reads of the follower's last stage, and of the swarm's round and stage."""
    stages = list(pair.stages_of(pair.follower))
    round_number, stage = stages[-1]
    follower = read_peer_id(pair.follower.run_dir / "identity.pem")
    keys = {
        "position": "rl_swarm_rs",
        "rewards": f"rl_swarm_rewards_{round_number}_{stage}",
        "outputs": f"rl_swarm_outputs_{follower}_{round_number}_{stage}",
    }
    boards = [f"rl_swarm_leaderboard_{round_number}_{stage}" for round_number, stage in stages]
    read = read_swarm(pair.leader.address(), *keys.values(), *boards)
    return {name: read[key] for name, key in keys.items()} | {
        "follower": follower,
        "boards": [read[key] for key in boards if read[key]],
    }


def test_a_follower_joins_the_current_round_and_exits_with_the_configured_code(pair: Pair) -> None:
    rounds = [number for number, _ in pair.stages_of(pair.follower)]

    assert pair.exit_code == 7, pair.follower.text()
    assert rounds == sorted(rounds)
    assert len(set(rounds)) >= 3
    assert all(len(steps) == 4 for steps in list(pair.stages_of(pair.follower).values())[:-1])


def test_the_leader_publishes_round_and_stage(pair: Pair, published: dict[str, Any]) -> None:
    assert [type(value) for value in published["position"]] == [int, int]
    assert tuple(published["position"]) >= list(pair.stages_of(pair.follower))[-1]


def test_the_published_sum_of_a_stage_is_the_logged_one(pair: Pair, published: dict[str, Any]) -> None:
    logged = float(list(pair.stages_of(pair.follower).values())[-1][-1]["stage_reward"])
    mean = sum(float(step["reward"]) for step in list(pair.stages_of(pair.follower).values())[-1])

    assert published["rewards"][published["follower"]] == pytest.approx(logged, abs=1e-4)
    assert logged == pytest.approx(mean * QUICK["num_generations"], abs=1e-3)


def test_the_leader_publishes_the_stages_boards_in_descending_order(published: dict[str, Any]) -> None:
    boards = published["boards"]

    assert any(published["follower"] in [peer for peer, _ in board] for board in boards)
    for board in boards:
        assert board == sorted(board, key=lambda entry: (entry[1], entry[0]), reverse=True)


def test_outputs_are_filed_under_the_question(published: dict[str, Any]) -> None:
    ((subkey, (at, outputs)),) = list(published["outputs"].items())[:1]
    (completions,) = (outputs[name] for name in outputs if name.startswith(("agent_", "final_agent_")))

    assert subkey == hashlib.md5(outputs["question"].encode()).hexdigest()
    assert time.time() - 600 < at <= time.time()
    assert isinstance(outputs["answer"], str)
    assert list(completions) == [published["follower"]]


def test_metrics_and_log_agree(pair: Pair) -> None:
    metrics = (pair.follower.run_dir / "trainer.prom").read_text()
    steps = pair.follower.steps()

    assert f"\ntrainer_steps_total {float(len(steps))}\n" in metrics
    assert 'trainer_state{trainer_state="stopped"} 1.0' in metrics
    assert f'peer_id="{read_peer_id(pair.follower.run_dir / "identity.pem")}"' in metrics
    reward = float(re.findall(r"^trainer_reward_mean (\S+)", metrics, re.MULTILINE)[0])
    assert reward == pytest.approx(float(steps[-1]["reward"]), rel=1e-4, abs=1e-6)


def test_a_killed_p2pd_costs_no_step_and_a_lost_dht_process_ends_the_trainer_with_one_line(
    pair: Pair, published: dict[str, Any]
) -> None:
    """Needs a running peer and ends it, so it comes after the tests that read the swarm."""
    leader = pair.leader
    next(child for child in leader.children() if name_of(child) == "p2pd").kill()
    wait_for(lambda: "the DHT's node was built again" in leader.text(), 30, "a new p2pd")
    steps = leader.steps()
    leader.wait_for_steps(len(steps) + 2)
    assert [int(step["step"]) for step in steps] == list(range(1, len(steps) + 1))

    next(child for child in leader.children() if name_of(child) not in ("p2pd", "")).kill()
    assert leader.process is not None
    assert leader.process.wait(120) == 1
    assert leader.text().splitlines()[-1] == "trainer: the DHT process ended; restart the trainer"
    assert list((leader.run_dir / "checkpoints").glob("checkpoint-*/complete.json"))
