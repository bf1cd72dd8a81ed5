"""The demo learns: the tiny model's reward rises over 50 real steps, and over 200 in `make bench`."""

from collections.abc import Callable
from statistics import mean

import pytest

from tests.trainer.peers import Peer


@pytest.mark.parametrize("steps", [50, pytest.param(200, marks=pytest.mark.bench)])
def test_the_demo_models_reward_rises(make_peer: Callable[..., Peer], steps: int) -> None:
    peer = make_peer(f"learner-{steps}", swarm={"port": 0, "leader": True}, grpo={"max_steps": steps}).start()
    assert peer.process is not None
    assert peer.process.wait(850) == 0, peer.text()

    rewards = [float(step["reward"]) for step in peer.steps()]
    first, last = mean(rewards[: steps // 4]), mean(rewards[-steps // 4 :])

    assert len(rewards) == steps
    assert last >= max(2 * first, 0.05), f"{first:.3f} at the beginning, {last:.3f} at the end"
