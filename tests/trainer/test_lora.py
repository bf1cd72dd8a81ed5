"""LoRA options become a configuration of peft."""

from trainer.config import LoraOptions
from trainer.lora import adapters


def test_all_weights_are_trained_by_default() -> None:
    assert adapters(None) is None


def test_the_options_reach_peft() -> None:
    made = adapters(LoraOptions(r=8, alpha=16, target_modules=["q_proj"]))

    assert (made.r, made.lora_alpha, made.target_modules, made.task_type) == (8, 16, {"q_proj"}, "CAUSAL_LM")
