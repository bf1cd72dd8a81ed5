"""The demo learns: the tiny model's reward rises over 200 real steps."""

from collections.abc import Callable
from statistics import mean

from tests.trainer.peers import Peer

STEPS = 200


def test_the_demo_models_reward_rises(make_peer: Callable[..., Peer]) -> None:
    peer = make_peer("learner", swarm={"port": 0, "leader": True}, grpo={"max_steps": STEPS}).start()
    assert peer.process is not None
    assert peer.process.wait(850) == 0, peer.text()

    rewards = [float(step["reward"]) for step in peer.steps()]
    first, last = mean(rewards[: STEPS // 4]), mean(rewards[-STEPS // 4 :])

    assert len(rewards) == STEPS
    assert last >= 1.3 * first, f"{first:.3f} at the beginning, {last:.3f} at the end"
