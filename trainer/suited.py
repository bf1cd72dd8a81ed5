"""What a peer trains with where its configuration says nothing: GRPOConfig options; loads no torch."""

from collections.abc import Mapping
from typing import Any

TINY = "tiny"

# What trl.GRPOConfig takes where nobody says otherwise, as far as a peer's memory depends on it.
TRL_DEFAULTS: Mapping[str, Any] = {
    "beta": 0.0,
    "gradient_accumulation_steps": 1,
    "gradient_checkpointing": True,
    "max_completion_length": 512,
}
GENERATIONS = 8


def suited_options(model: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of GRPOConfig that suit a peer of this model; the user's own, `given`, are not repeated here."""
    generations = given.get("num_generations", GENERATIONS)
    suited: dict[str, Any] = {"num_generations": generations, "per_device_train_batch_size": generations}
    if model == TINY:
        suited |= {"learning_rate": 3e-4, "max_completion_length": 16, "gradient_checkpointing": False}
    return suited
