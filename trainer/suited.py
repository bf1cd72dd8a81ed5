"""Default GRPOConfig options of a peer; loads no torch."""

from collections.abc import Mapping
from typing import Any

TINY = "tiny"

# The tiny model: about a million weights, one token per byte and two special ones.
TINY_KIND = "qwen2"
TINY_SHAPE: Mapping[str, Any] = {
    "vocab_size": 258,
    "hidden_size": 192,
    "intermediate_size": 576,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}

# Defaults of trl.GRPOConfig that a peer's memory depends on.
TRL_DEFAULTS: Mapping[str, Any] = {
    "beta": 0.0,
    "gradient_accumulation_steps": 1,
    "gradient_checkpointing": True,
    "max_completion_length": 512,
}
GENERATIONS = 8


def suited_options(model: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults for a peer of this model; the user's own options, `given`, take precedence and are not included."""
    generations = given.get("num_generations", GENERATIONS)
    suited: dict[str, Any] = {"num_generations": generations, "per_device_train_batch_size": generations}
    if model == TINY:
        suited |= {"learning_rate": 3e-4, "max_completion_length": 16, "gradient_checkpointing": False}
    return suited


def suited_prompt(model: str) -> tuple[int, int, int]:
    """Bounds of the prompts of stages 1 and 2: their characters, the peers that they quote, a stranger's question."""
    # The tiny model reads a byte per token.
    return (300, 1, 1000) if model == TINY else (6000, 8, 2000)
