"""Adapters above weights of four bits are trained on a processor; skipped where bitsandbytes is not installed."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from tests.lazy import lazily
from trainer.config import TrainerConfig
from trainer.protocol import RoundAndStage

data, grpo = lazily("trainer.data"), lazily("trainer.grpo")
GRPO = {"num_generations": 4, "per_device_train_batch_size": 4, "max_completion_length": 8, "learning_rate": 1e-2}


class Nothing:
    """Takes phases and sections, and keeps nothing."""

    def phase(self, _name: str) -> Any:
        return contextlib.nullcontext()

    def shield(self) -> Any:
        return contextlib.nullcontext()


@pytest.mark.bench
@pytest.mark.filterwarnings("ignore")
def test_steps_change_the_adapters_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes, which nothing here requires")
    import torch

    folder = str(tmp_path / "model")
    tokenizer = data.byte_tokenizer()
    data.tiny_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = TrainerConfig(
        name="a",
        run_dir=tmp_path,
        model=folder,
        device="cpu",
        lora={"r": 4},
        load_in_4bit=True,
        stages_per_round=1,
        grpo=GRPO,
    )
    with grpo.quiet():
        trainer = grpo.build_trainer(config, checkpoints=tmp_path / "c", phases=Nothing(), shield=Nothing())
        trainer.rows.enter(RoundAndStage(0, 0), 0)
        trainer.args.max_steps = 3
        before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
        trainer.train()

    changed = {name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])}
    frozen = {name for name, value in before.items() if value.dtype is torch.uint8}
    assert trainer.state.global_step == 3
    assert frozen
    assert changed
    assert all("lora" in name for name in changed)
