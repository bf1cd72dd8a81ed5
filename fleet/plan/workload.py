"""What a peer computes with, as far as its memory depends on it: from the trainer's configuration; pure."""

import math
from dataclasses import dataclass
from typing import Literal

from trainer.config import TrainerConfig
from trainer.suited import TINY, TRL_DEFAULTS, suited_options

BYTES_OF = {"float32": 4, "bfloat16": 2}

# Characters of a prompt: chain_sum's longest question; what is assumed of any other task.
_TASK_CHARACTERS = {"chain_sum": 102}
_OTHER_CHARACTERS = 900
# The tiny model's tokenizer makes a token of each byte, the others about one of 3.5 characters.
_CHARACTERS_PER_TOKEN = 3.5
_CHAT_TEMPLATE_TOKENS = 40


@dataclass(frozen=True)
class Workload:
    """One peer's settings; `batch` completions go through a backward pass together, `generated` are made together."""

    batch: int
    accumulation: int
    generations: int
    completion_tokens: int
    prompt_tokens: int
    checkpointing: bool
    has_reference: bool
    dtype: Literal["float32", "bfloat16"]
    lora_rank: int | None
    device: str

    @property
    def generated(self) -> int:
        return self.batch * self.accumulation

    @property
    def tokens(self) -> int:
        """Of the longest sequence."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def weight_bytes(self) -> int:
        return BYTES_OF[self.dtype]


def workload(config: TrainerConfig, device: str, *, prompt_tokens: int | None = None) -> Workload:
    """`device` takes the place of the configuration's where that says `auto`. Raises ValueError for no number."""
    options = {**TRL_DEFAULTS, **suited_options(config.model, config.grpo), **config.grpo}
    try:
        batch = int(options["per_device_train_batch_size"])
        accumulation = int(options.get("steps_per_generation") or options["gradient_accumulation_steps"])
        return Workload(
            batch=batch,
            accumulation=max(1, accumulation),
            generations=int(options["num_generations"]),
            completion_tokens=int(options["max_completion_length"]),
            prompt_tokens=prompt_tokens or _prompt_tokens(config),
            checkpointing=bool(options["gradient_checkpointing"]),
            has_reference=float(options["beta"]) != 0.0 and config.lora is None,
            dtype=config.dtype,
            lora_rank=config.lora.r if config.lora else None,
            device=device if config.device == "auto" else config.device,
        )
    except TypeError as error:
        raise ValueError(f"trainer.grpo: {error}") from None


def _prompt_tokens(config: TrainerConfig) -> int:
    characters = _TASK_CHARACTERS.get(config.task, _OTHER_CHARACTERS)
    if config.model == TINY:
        return characters
    return math.ceil(characters / _CHARACTERS_PER_TOKEN) + _CHAT_TEMPLATE_TOKENS
