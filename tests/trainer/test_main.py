"""Real trainers in private swarms on loopback: what they publish, how they stop, and how they come back."""

import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
import yaml

from tests.fakes import wait_for
from tests.trainer.peers import QUICK, ROOT, Peer, read_swarm
from trainer.swarm.identity import read_peer_id

SHORT = {"grpo": QUICK, "steps_per_stage": 4, "publish_interval_seconds": 0.5, "poll_interval_seconds": 0.2}
SLOW_REWARD = """
import time
def slow(completions, trainer_state, **kwargs):
    time.sleep(60 if trainer_state.global_step >= 2 else 0)
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
def pair(make_peer: MakePeer) -> Pair:
    leader = make_peer("leader", swarm={"port": 0, "leader": True}, **SHORT).start()
    swarm = {"port": 0, "initial_peers": [leader.address()]}
    options = {**SHORT, "grpo": {**QUICK, "max_steps": 26}}
    follower = make_peer("follower", swarm=swarm, **options).start("--finished-exit-code", "7")
    leader.wait_for_steps(1)
    assert follower.process is not None
    return Pair(leader, follower, follower.process.wait(120))


@pytest.fixture(scope="module")
def published(pair: Pair) -> dict[str, Any]:
    """What a client reads of the follower's last stage, and of where the swarm is."""
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


def test_a_follower_joins_the_current_round_and_ends_with_the_wanted_code(pair: Pair) -> None:
    rounds = [number for number, _ in pair.stages_of(pair.follower)]

    assert pair.exit_code == 7, pair.follower.text()
    assert rounds == sorted(rounds)
    assert len(set(rounds)) >= 3
    assert all(len(steps) == 4 for steps in list(pair.stages_of(pair.follower).values())[:-1])


def test_the_swarm_is_told_where_it_is(pair: Pair, published: dict[str, Any]) -> None:
    assert [type(value) for value in published["position"]] == [int, int]
    assert tuple(published["position"]) >= list(pair.stages_of(pair.follower))[-1]


def test_the_sum_of_a_stage_is_published_as_the_log_says(pair: Pair, published: dict[str, Any]) -> None:
    logged = float(list(pair.stages_of(pair.follower).values())[-1][-1]["stage_reward"])
    mean = sum(float(step["reward"]) for step in list(pair.stages_of(pair.follower).values())[-1])

    assert published["rewards"][published["follower"]] == pytest.approx(logged, abs=1e-4)
    assert logged == pytest.approx(mean * QUICK["num_generations"], abs=1e-3)


def test_the_leader_publishes_the_stages_boards_in_descending_order(published: dict[str, Any]) -> None:
    boards = published["boards"]

    # A leader that is ahead closes a stage before its follower's first sum in it is there.
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


def test_a_killed_trainer_leaves_nothing_behind_and_comes_back_where_it_was(make_peer: MakePeer) -> None:
    peer = make_peer("killed", swarm={"port": 0, "leader": True}, save_interval_seconds=0.5, **SHORT).start()
    peer.wait_for_steps(30)
    children = peer.children()
    assert {"p2pd"} <= {child.name() for child in children}
    identity = read_peer_id(peer.run_dir / "identity.pem")

    peer.end(signal.SIGKILL)
    before = peer.steps()
    peer.start()
    wait_for(lambda: not any(child.is_running() for child in children), 5, "the DHT and p2pd end")
    peer.wait_for_steps(len(before) + 5)

    after = peer.steps()[len(before) :]
    resumed = int(re.findall(r"resuming from checkpoint-(\d+)", peer.text())[-1])
    assert identity in peer.address()
    assert int(after[0]["step"]) == resumed + 1 <= int(before[-1]["step"]) + 1
    assert int(after[0]["round"]) >= int(before[-1]["round"]) - 1

    code, seconds = peer.end(signal.SIGTERM)

    assert code == 0, peer.text()
    assert seconds < 10
    assert "Traceback" not in peer.text()
    last = int(peer.steps()[-1]["step"])
    assert (peer.run_dir / "checkpoints" / f"checkpoint-{last}" / "complete.json").exists()
    position = json.loads((peer.run_dir / "position.json").read_text())["position"]
    assert (position["round"], position["stage"]) >= (int(peer.steps()[-1]["round"]), int(peer.steps()[-1]["stage"]))


def test_a_long_step_is_abandoned_and_what_was_learned_is_saved(make_peer: MakePeer, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_REWARD)
    options = {**SHORT, "rewards": [f"{tmp_path}/slow.py:slow"]}
    peer = make_peer("slow", swarm={"port": 0, "leader": True}, **options).start()
    peer.wait_for_steps(2)
    time.sleep(1)
    assert peer.process is not None
    peer.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: "in slow" in (peer.run_dir / "stacks.log").read_text(), 5, "the stacks are written")

    code, seconds = peer.end(signal.SIGTERM)

    assert code == 0, peer.text()
    assert seconds < 10
    assert len(peer.steps()) == 2
    assert (peer.run_dir / "checkpoints" / "checkpoint-2" / "complete.json").exists()


def test_a_lost_p2pd_ends_the_trainer_with_one_line(pair: Pair, published: dict[str, Any]) -> None:
    """Needs a running peer and ends it, so it comes after the tests that read the swarm."""
    leader = pair.leader
    next(child for child in leader.children() if child.name() == "p2pd").kill()
    assert leader.process is not None

    assert leader.process.wait(20) == 1
    assert leader.text().splitlines()[-1] == "trainer: the DHT process ended; the trainer has to start again"
    assert list((leader.run_dir / "checkpoints").glob("checkpoint-*/complete.json"))


def test_a_stop_during_the_start_leaves_nothing_behind(make_peer: MakePeer) -> None:
    peer = make_peer("starting", swarm={"port": 0, "leader": True}, **SHORT).start()
    wait_for(lambda: (peer.run_dir / "dht.json").exists(), 60, "the DHT is being started", every=0.02)
    children = peer.children()

    code, seconds = peer.end(signal.SIGTERM)

    assert (code, seconds < 10) == (0, True), peer.text()
    assert "Traceback" not in peer.text()
    wait_for(lambda: not any(child.is_running() for child in children), 3, "the DHT ends")


def complaint(folder: Path, text: str) -> tuple[int, str]:
    """Exit code and standard error of a trainer with this configuration."""
    (folder / "peer.yaml").write_text(f"name: a\nrun_dir: run\n{text}\n")
    command = [sys.executable, "-m", "trainer", "--config", str(folder / "peer.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
    return done.returncode, done.stderr


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code, errors = complaint(tmp_path, f"swarm: {{port: {port}}}")

    assert code == 1
    assert re.fullmatch(rf"trainer: swarm\.port: cannot listen on 127\.0\.0\.1 port {port}: .*\n", errors)


def test_unreachable_initial_peers_are_said_in_one_line(tmp_path: Path) -> None:
    address = "/ip4/127.0.0.1/tcp/9/p2p/QmcWq6BpmqBwrui8BcNGm36ks4XCKQkH8rENKnfhkAgthf"

    code, errors = complaint(tmp_path, f"swarm: {{port: 0, initial_peers: [{address}]}}")

    assert code == 1
    assert re.fullmatch(rf"trainer: swarm\.initial_peers: none of {address} could be joined .*\n", errors)


def test_a_wrong_configuration_is_said_in_one_line(tmp_path: Path) -> None:
    code, errors = complaint(tmp_path, "grpo: {learning_rat: 1}")

    assert code == 2
    assert errors.count("\n") == 1
    assert "did you mean learning_rate?" in errors


def test_a_run_folder_serves_one_trainer(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    record = {"pid": psutil.Process().pid, "create_time": psutil.Process().create_time()}
    (tmp_path / "run" / "process.json").write_text(json.dumps(record))

    code, errors = complaint(tmp_path, "")

    assert code == 2
    assert f"is in use by the trainer with process number {record['pid']}" in errors


def test_adapters_are_trained_in_bfloat16_and_taken_up_again(make_peer: MakePeer) -> None:
    options = {**SHORT, "dtype": "bfloat16", "lora": {"r": 4}, "swarm": {"port": 0, "leader": True}}
    peer = make_peer("adapters", **options | {"grpo": {**QUICK, "max_steps": 3}}).start()
    assert peer.process is not None
    assert peer.process.wait(120) == 0, peer.text()
    checkpoint = peer.run_dir / "checkpoints" / "checkpoint-3"
    adapter = json.loads((checkpoint / "adapter_config.json").read_text())

    peer.config.write_text(
        yaml.safe_dump(yaml.safe_load(peer.config.read_text()) | {"grpo": {**QUICK, "max_steps": 5}})
    )
    peer.start()

    assert adapter["r"] == 4
    assert not (checkpoint / "model.safetensors").exists()
    assert peer.process.wait(120) == 0, peer.text()
    assert "resuming from checkpoint-3" in peer.text()
    assert [step["step"] for step in peer.steps()] == ["1", "2", "3", "4", "5"]


def test_weights_are_not_resumed_as_adapters(make_peer: MakePeer) -> None:
    options = {**SHORT, "grpo": {**QUICK, "max_steps": 2}, "swarm": {"port": 0, "leader": True}}
    peer = make_peer("weights", **options).start()
    assert peer.process is not None
    assert peer.process.wait(120) == 0, peer.text()
    peer.config.write_text(yaml.safe_dump(yaml.safe_load(peer.config.read_text()) | {"lora": {}}))
    peer.start()

    assert peer.process.wait(120) == 2
    assert "comes from 'tiny', not 'tiny with LoRA of rank 16'" in peer.text()
