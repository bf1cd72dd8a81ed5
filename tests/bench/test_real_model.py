"""A pretrained model learns sums: one real trainer for some hundred steps, beside the demo's toy.

PEERWATCH_REAL_MODEL names the folder of a causal language model with a chat template, called as the model is; without
it there is nothing to train. The figures in the documentation are those of SmolLM2-135M-Instruct.
PEERWATCH_REAL_STEPS: steps of it.
"""

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pytest

from tests.trainer.conftest import make_peer as make_peer
from tests.trainer.peers import Peer

MODEL = os.environ.get("PEERWATCH_REAL_MODEL", "")
STEPS = int(os.environ.get("PEERWATCH_REAL_STEPS", "120"))
TOY_STEPS = 200
# The picture's line is the mean of so many steps.
WINDOW = 10
PICTURE = Path(__file__).parents[2] / "docs" / "reward.svg"

# The model adds one-digit numbers now and then, among sentences of other things.
SUMS = [
    {"question": f"Question: {one} + {other} = ?", "answer": str(one + other)}
    for one, other in itertools.product(range(2, 10), repeat=2)
]
GRPO = {
    "learning_rate": 1e-5,
    "num_generations": 8,
    "per_device_train_batch_size": 8,
    "max_completion_length": 16,
    "beta": 0.0,
    "save_total_limit": 1,
}


@pytest.mark.bench
@pytest.mark.timeout(7200)
@pytest.mark.skipif(not MODEL, reason="PEERWATCH_REAL_MODEL names no model's folder")
def test_a_pretrained_model_learns_sums(
    make_peer: Callable[..., Peer], tmp_path: Path, record: Callable[..., None]
) -> None:
    sums = tmp_path / "sums.jsonl"
    sums.write_text("".join(json.dumps(one) + "\n" for one in SUMS))
    usual = {"stages_per_round": 1, "steps_per_stage": 20, "swarm": {"port": 0, "leader": True}}
    toy = _rewards(make_peer("toy", **usual, grpo={"max_steps": TOY_STEPS}).start())
    real = make_peer(
        "real",
        **usual,
        model=MODEL,
        task=str(sums),
        rewards=["correctness"],
        device="cpu",
        seed=7,
        save_interval_seconds=3600,
        grpo={**GRPO, "max_steps": STEPS},
    ).start()
    rewards = _rewards(real)
    seconds = mean(float(step["seconds"]) for step in real.steps())
    first, last = mean(rewards[:WINDOW]), mean(rewards[-WINDOW:])
    name = Path(MODEL).name
    subject = f"A pretrained model learns sums: {name}"
    record(subject, "steps", f"{len(rewards)}, {seconds:.1f} s each", "")
    record(subject, f"mean reward of the first {WINDOW} steps", f"{first:.2f}", "")
    record(subject, f"mean reward of the last {WINDOW} steps", f"{last:.2f}", "above the first")
    record(subject, f"the demo's toy, {TOY_STEPS} steps", f"{mean(toy[:WINDOW]):.2f} to {mean(toy[-WINDOW:]):.2f}", "")
    plot({f"{name}, sums": rewards, "the demo's toy": toy}, PICTURE)
    assert len(rewards) == STEPS
    assert last > first + 0.1


def _rewards(peer: Peer) -> list[float]:
    assert peer.process is not None
    assert peer.process.wait(7000) == 0, peer.text()[-3000:]
    return [float(step["reward"]) for step in peer.steps()]


def plot(curves: dict[str, list[float]], path: Path) -> None:
    """Writes each reward, 0 to 1, by step as dots, and its mean over WINDOW steps as a line."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # The same figures make the same file: neither a date nor random names are in it.
    with mpl.rc_context({"svg.hashsalt": "peerwatch"}):
        figure = Figure(figsize=(8, 3), layout="constrained")
        for axes, (name, rewards) in zip(figure.subplots(1, len(curves), sharey=True), curves.items(), strict=True):
            steps = range(1, len(rewards) + 1)
            axes.plot(steps, rewards, ".", color="#4c78a8", alpha=0.35)
            means = [mean(rewards[max(0, step - WINDOW) : step]) for step in steps]
            axes.plot(steps, means, color="#e45756")
            axes.set(title=name, xlabel="step", ylim=(0, 1.05))
        figure.axes[0].set_ylabel(f"reward, and its mean over {WINDOW} steps")
        figure.savefig(path, metadata={"Date": None})
