"""A trainer that is killed at any instant of saving resumes from a whole checkpoint."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.lazy import lazily
from trainer.checkpoints import find_latest
from trainer.config import TrainerConfig

torch = lazily("torch")
trainer = lazily("tests.trainer.saving_trainer")


def saved_step(checkpoint: Path) -> int:
    return int(json.loads((checkpoint / "trainer_state.json").read_text())["global_step"])


@pytest.mark.parametrize("kills", [12, pytest.param(200, marks=pytest.mark.bench)])
def test_the_newest_whole_checkpoint_loads_after_a_kill(tmp_path: Path, kills: int) -> None:
    config = TrainerConfig(name="a", run_dir=tmp_path, device="cpu", grpo={"num_generations": 2})
    peer: Any = trainer.build(config)
    folder = tmp_path / "checkpoints"
    began = time.monotonic()
    peer.save_now()
    duration = time.monotonic() - began
    instants, damaged = random.Random(7), 0
    for _ in range(kills):
        step = peer.state.global_step
        before = set(os.listdir(folder))
        child = os.fork()
        if child == 0:
            try:
                # Saves without an end, each with other weights; the parent kills this process.
                trainer.save_for_ever(peer)
            finally:
                os._exit(1)
        # On a busy machine it takes long until it runs.
        while set(os.listdir(folder)) <= before:
            time.sleep(0.001)
        time.sleep(duration * 2.0 * instants.random())
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        names = {path.name for path in folder.glob("checkpoint-*")}

        checkpoint = find_latest(folder, config.trained_as)

        assert checkpoint is not None
        damaged += checkpoint.name != max(names, key=lambda name: int(name.rpartition("-")[2]))
        peer.state.global_step = saved_step(checkpoint)
        assert peer.state.global_step >= step
        trainer.load(peer, checkpoint)
        assert trainer.mark(peer) == peer.state.global_step
    # Otherwise the instants were not those of saving.
    assert damaged >= kills // 4
    shutil.rmtree(folder)
