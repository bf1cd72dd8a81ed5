"""Loads the task, an endless dataset from reasoning-gym, and the model: the built-in tiny one or any other by name."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import reasoning_gym
import torch
from datasets import Dataset
from reasoning_gym.factory import DATASETS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from trainer.config import TrainerConfig, nearest
from trainer.scoring import Entry
from trainer.suited import TINY, TINY_SHAPE

# Rows before the dataset repeats. Each is generated on access, so a large number costs nothing.
QUESTIONS = 100_000


@dataclass(frozen=True)
class Task:
    """A reasoning-gym dataset: its questions, and its scoring of answers."""

    source: Any

    def judge(self, entry: Entry, answer: str) -> float:
        """The task's score of an answer to the entry of a dataset row."""
        return float(self.source.score_answer(answer=answer, entry=entry))

    def dataset(self, *, conversational: bool) -> Dataset:
        """Rows with prompt, question, answer and entry (the task's own record), generated on access."""
        rows = partial(_rows, self.source, conversational)
        return Dataset.from_dict({"index": range(QUESTIONS)}).with_transform(rows)


def load_task(config: TrainerConfig) -> Task:
    """The configured task. Raises ValueError with one line for the user."""
    if config.task not in DATASETS:
        raise ValueError(f"task: unknown reasoning-gym dataset {config.task!r}{nearest(config.task, DATASETS)}")
    options = {"seed": config.seed, "size": QUESTIONS, **config.task_options}
    try:
        source = reasoning_gym.create_dataset(config.task, **options)
    except (TypeError, ValueError, AssertionError, AttributeError, LookupError) as error:
        raise ValueError(f"task_options: rejected by {config.task}: {error}") from error
    return Task(source)


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


def _rows(source: Any, conversational: bool, batch: dict[str, list[int]]) -> dict[str, list[Any]]:
    entries = [source[index % len(source)] for index in batch["index"]]
    questions = [entry["question"] for entry in entries]
    prompts = [[{"role": "user", "content": question}] for question in questions] if conversational else questions
    return {
        "prompt": prompts,
        "question": questions,
        "answer": [str(entry["answer"]) for entry in entries],
        "entry": entries,
    }
