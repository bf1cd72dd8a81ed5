"""The real trainer of the tiny model, for tests of saving: its weights tell which step they are of."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from trainer.config import TrainerConfig
from trainer.grpo import PeerTrainer, build_trainer, quiet


class _Nothing:
    """Phases and shields of a trainer that nobody watches."""

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        yield


def build(config: TrainerConfig) -> PeerTrainer:
    """The trainer with an optimizer that has a state, as after its first step."""
    torch.set_num_threads(1)
    with quiet():
        nothing = _Nothing()
        peer = build_trainer(config, checkpoints=config.run_dir / "checkpoints", phases=nothing, shield=nothing)
        peer.create_optimizer_and_scheduler(num_training_steps=1000)
    for parameter in peer.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    peer.optimizer.step()
    set_mark(peer, 0)
    return peer


def save_for_ever(peer: PeerTrainer) -> None:
    """Saves step after step."""
    while True:
        peer.state.global_step += 1
        set_mark(peer, peer.state.global_step)
        peer.save_now()


def set_mark(peer: PeerTrainer, step: int) -> None:
    """Puts a step's number into the weights and into the optimizer."""
    with torch.no_grad():
        for parameter in (_weights(peer), _moments(peer)):
            parameter.fill_(float(step))


def mark(peer: PeerTrainer) -> float:
    """The step that weights and optimizer are of. Raises AssertionError if they differ."""
    values = {float(value) for tensor in (_weights(peer), _moments(peer)) for value in tensor.detach().unique()}
    assert len(values) == 1, values
    return values.pop()


def load(peer: PeerTrainer, checkpoint: Path) -> None:
    """Loads weights and optimizer as a resumed run does."""
    peer._load_from_checkpoint(str(checkpoint))
    peer._load_optimizer_and_scheduler(str(checkpoint))
    assert load_file(checkpoint / "model.safetensors")


def _weights(peer: PeerTrainer) -> Any:
    return peer.model.model.norm.weight


def _moments(peer: PeerTrainer) -> Any:
    return peer.optimizer.state[_weights(peer)]["exp_avg"]
