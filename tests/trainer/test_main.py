"""Real trainers in private swarms on loopback: how they stop, resume, and report errors."""

import json
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml

from tests import warm
from tests.fakes import name_of, wait_for
from tests.trainer.peers import QUICK, SHORT, Peer
from trainer.checkpoints import seal
from trainer.config import TrainerConfig
from trainer.swarm.identity import read_peer_id

SLOW_REWARD = """
import time
from pathlib import Path
def slow(completions, trainer_state, **kwargs):
    if trainer_state.global_step >= 2:
        Path(__file__).with_name("begun").touch()
        time.sleep(600)
    return [1.0] * len(completions)
"""

MakePeer = Callable[..., Peer]


def test_a_killed_trainer_leaves_nothing_behind_and_resumes(make_peer: MakePeer) -> None:
    peer = make_peer("killed", swarm={"port": 0, "leader": True}, save_interval_seconds=0.5, **SHORT).start()
    peer.wait_for_steps(30)
    children = peer.children()
    assert {"p2pd"} <= {name_of(child) for child in children}
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
    # Steps are quicker than a save: it goes on no earlier than in the round of the one that it resumes from.
    saved = next((step for step in before if int(step["step"]) == resumed), before[-1])
    assert int(after[0]["round"]) >= int(saved["round"])

    code = peer.end(signal.SIGTERM)

    assert code == 0, peer.text()
    assert "Traceback" not in peer.text()
    assert_nothing_counts_twice(peer)
    last = int(peer.steps()[-1]["step"])
    assert (peer.run_dir / "checkpoints" / f"checkpoint-{last}" / "complete.json").exists()
    position = json.loads((peer.run_dir / "position.json").read_text())["position"]
    assert (position["round"], position["stage"]) >= (int(peer.steps()[-1]["round"]), int(peer.steps()[-1]["stage"]))


def assert_nothing_counts_twice(peer: Peer) -> None:
    """A stage's sum is at most what its logged steps earned, across the kill too."""
    earned: dict[tuple[str, str], float] = {}
    for step in peer.steps():
        place = step["round"], step["stage"]
        earned[place] = earned.get(place, 0.0) + float(step["reward"]) * QUICK["num_generations"]
        assert float(step["stage_reward"]) <= earned[place] + 1e-3, step


def test_a_long_step_is_abandoned_and_the_weights_are_saved(make_peer: MakePeer, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_REWARD)
    options = {**SHORT, "rewards": [f"{tmp_path}/slow.py:slow"]}
    peer = make_peer("slow", swarm={"port": 0, "leader": True}, **options).start()
    peer.wait_for_steps(2)
    wait_for((tmp_path / "begun").exists, 20, "the long step", every=0.05)
    assert peer.process is not None
    peer.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: "in slow" in (peer.run_dir / "stacks.log").read_text(), 5, "the stacks are written")

    code = peer.end(signal.SIGTERM)

    assert code == 0, peer.text()
    assert len(peer.steps()) == 2
    assert (peer.run_dir / "checkpoints" / "checkpoint-2" / "complete.json").exists()


def test_a_stop_during_the_start_leaves_nothing_behind(make_peer: MakePeer) -> None:
    peer = make_peer("starting", swarm={"port": 0, "leader": True}, **SHORT).start_cold()
    wait_for(lambda: (peer.run_dir / "dht.json").exists(), 60, "the DHT is being started", every=0.02)
    children = peer.children()

    code = peer.end(signal.SIGTERM)

    assert code == 0, peer.text()
    assert "Traceback" not in peer.text()
    wait_for(lambda: not any(child.is_running() for child in children), 3, "the DHT ends")


def run_to_exit(folder: Path, text: str) -> tuple[int, str]:
    """Exit code and standard error of a trainer with this configuration."""
    (folder / "peer.yaml").write_text(f"name: a\nrun_dir: run\n{text}\n")
    done = warm.run("trainer", "--config", str(folder / "peer.yaml"))
    return done.returncode, done.stderr


def test_a_port_in_use_is_reported_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code, errors = run_to_exit(tmp_path, f"swarm: {{port: {port}}}")

    assert code == 1
    assert re.fullmatch(rf"trainer: swarm\.port: cannot listen on 127\.0\.0\.1 port {port}: .*\n", errors)


def test_unreachable_initial_peers_are_reported_in_one_line(tmp_path: Path) -> None:
    address = "/ip4/127.0.0.1/tcp/9/p2p/QmcWq6BpmqBwrui8BcNGm36ks4XCKQkH8rENKnfhkAgthf"

    code, errors = run_to_exit(tmp_path, f"swarm: {{port: 0, initial_peers: [{address}]}}")

    assert code == 1
    assert re.fullmatch(rf"trainer: swarm\.initial_peers: no initial peer could be reached: {address} .*\n", errors)


def test_an_invalid_configuration_is_reported_in_one_line(tmp_path: Path) -> None:
    code, errors = run_to_exit(tmp_path, "grpo: {learning_rat: 1}")

    assert code == 2
    assert errors.count("\n") == 1
    assert "did you mean learning_rate?" in errors


def test_a_run_folder_serves_one_trainer(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    record = {"pid": psutil.Process().pid, "create_time": psutil.Process().create_time()}
    (tmp_path / "run" / "process.json").write_text(json.dumps(record))

    code, errors = run_to_exit(tmp_path, "")

    assert code == 2
    assert f"is in use by the trainer with PID {record['pid']}" in errors


def test_adapters_are_trained_in_bfloat16_and_resumed(make_peer: MakePeer) -> None:
    options = {**SHORT, "dtype": "bfloat16", "lora": {"r": 4}, "swarm": {"port": 0, "leader": True}}
    peer = make_peer("adapters", **options | {"grpo": {**QUICK, "max_steps": 3}}).start()
    assert peer.process is not None
    assert peer.process.wait(600) == 0, peer.text()
    checkpoint = peer.run_dir / "checkpoints" / "checkpoint-3"
    adapter = json.loads((checkpoint / "adapter_config.json").read_text())

    peer.config.write_text(
        yaml.safe_dump(yaml.safe_load(peer.config.read_text()) | {"grpo": {**QUICK, "max_steps": 5}})
    )
    peer.start()

    assert adapter["r"] == 4
    assert not (checkpoint / "model.safetensors").exists()
    assert peer.process.wait(600) == 0, peer.text()
    assert "resuming from checkpoint-3" in peer.text()
    assert [step["step"] for step in peer.steps()] == ["1", "2", "3", "4", "5"]


def test_weights_are_not_resumed_as_adapters(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run" / "checkpoints" / "checkpoint-2"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    # As a training of all weights does, such as the one above that is resumed.
    seal(checkpoint, TrainerConfig(name="a", run_dir=tmp_path / "run").trained_as)

    code, errors = run_to_exit(tmp_path, "lora: {}\nswarm: {port: 0, leader: true}")

    assert code == 2
    assert "comes from 'tiny', not 'tiny with LoRA of rank 16'" in errors
    assert checkpoint.exists()
