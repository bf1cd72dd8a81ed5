"""Loads the task and the model: the built-in tiny one or any other by name."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from trainer.config import TrainerConfig, is_table, nearest
from trainer.suited import TINY, TINY_SHAPE
from trainer.tasks.task import Task


def load_task(config: TrainerConfig) -> Task:
    """The configured task: a dataset of reasoning-gym, or one with columns. Raises ValueError with one line."""
    if is_table(config.task):
        from trainer.tasks.table import TableSource

        return Task(TableSource(config.task, config.task_options))
    from trainer.tasks.gym import GymSource, names

    if config.task not in names():
        raise ValueError(f"task: unknown reasoning-gym dataset {config.task!r}{nearest(config.task, names())}")
    return Task(GymSource(config.task, config.task_options))


def load_model(config: TrainerConfig) -> tuple[PreTrainedModel | str, PreTrainedTokenizerBase]:
    """Model (or the name for TRL to load) and tokenizer. Raises ValueError with one line for the user."""
    if config.model == TINY:
        tokenizer = byte_tokenizer()
        return tiny_model(tokenizer).to(getattr(torch, config.dtype)), tokenizer
    try:
        tokenizer = AutoTokenizer.from_pretrained(config.model, padding_side="left")
    except (OSError, ValueError) as error:
        raise ValueError(f"model: {config.model!r} cannot be loaded: {str(error).splitlines()[0]}") from error
    return config.model, tokenizer


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, and the two special tokens that generation needs."""
    tokens = ["<pad>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    # Every prompt is new, so a cache would only grow.
    bytes_alone = models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=[], cache_capacity=0)
    tokenizer = Tokenizer(bytes_alone)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", padding_side="left"
    )


def tiny_model(tokenizer: PreTrainedTokenizerBase) -> Qwen2ForCausalLM:
    """A Qwen2 with about a million random parameters, which learns in seconds on one CPU core."""
    shape = Qwen2Config(
        **TINY_SHAPE,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    return Qwen2ForCausalLM(shape)
