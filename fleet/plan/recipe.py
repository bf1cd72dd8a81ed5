"""The settings under which 1, 2, 3, … peers fit, changed in the order that costs learning least; pure."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from fleet.plan.answer import Case, case, count_of, memory_limit, smaller_batches
from fleet.plan.footprint import adapter_parameters
from fleet.plan.workload import Workload
from trainer.config import LoraOptions

# Of the completion length that is configured; below a half, most answers would be cut off.
_LENGTHS = (1.0, 0.75, 0.5)
# What is changed, first what costs learning least.
KEYS = ("per_device_train_batch_size", "gradient_checkpointing", "dtype", "max_completion_length", "lora")
# As many as fit on a page; of a large machine the largest count is the last.
MOST_RECIPES = 8


@dataclass(frozen=True)
class Change:
    """One setting: as it stands in a peer's configuration, and what it costs."""

    setting: str
    cost: str

    @property
    def key(self) -> str:
        """The setting without its value."""
        return self.setting.partition(":")[0]


@dataclass(frozen=True)
class Recipe:
    """The settings under which `peers` peers fit; `planned` is the case with them. No changes: as configured.

    `options` are those of the changes that are GRPOConfig fields.
    """

    peers: int
    planned: Case
    changes: tuple[Change, ...]
    options: Mapping[str, Any]

    @property
    def memory_limit_bytes(self) -> int:
        return memory_limit(self.planned, self.peers)

    @property
    def threads(self) -> int:
        return max(1, self.planned.host.cores // self.peers)


def find_recipes(planned: Case, peers: int | None = None) -> list[Recipe]:
    """A recipe for each count of peers that can fit, the smallest first, or for the one that is given.

    Empty where not even one can, or the given count cannot.
    """
    # Each variant costs more learning than the one before it: the first that fits is the one to take.
    variants = [(one, count_of(one)) for one in _variants(planned)]
    most = max(count for _, count in variants)
    counts = list(range(1, most + 1))
    if peers is not None:
        counts = [peers] if peers <= most else []
    elif most > MOST_RECIPES:
        counts = [*counts[: MOST_RECIPES - 1], most]
    found = []
    for wanted in counts:
        variant = next(one for one, count in variants if count >= wanted)
        changes, options = tuple(_changes(planned, variant.work)), dict(_options(planned.work, variant.work))
        found.append(Recipe(wanted, variant, changes, options))
    return found


def _variants(planned: Case) -> Iterator[Case]:
    """The case as it is, then with each set of changes, those that cost least first."""
    work = planned.work
    adapters = [work, replace(work, lora_rank=LoraOptions().r, has_reference=False)] if not work.lora_rank else [work]
    lengths = sorted({max(1, int(work.completion_tokens * share)) for share in _LENGTHS}, reverse=True)
    dtypes: list[Literal["float32", "bfloat16"]] = (
        [work.dtype] if work.dtype == "bfloat16" else [work.dtype, "bfloat16"]
    )
    checkpoints = [True] if work.checkpointing else [False, True]
    batches = [work, *smaller_batches(work)]
    for adapted, length, dtype, checkpointing, batch in itertools.product(
        adapters, lengths, dtypes, checkpoints, batches
    ):
        variant = replace(
            adapted,
            completion_tokens=length,
            dtype=dtype,
            checkpointing=checkpointing,
            batch=batch.batch,
            accumulation=batch.accumulation,
        )
        yield planned if variant == work else case(planned.shape, variant, planned.host)


def _options(before: Workload, work: Workload) -> Iterator[tuple[str, Any]]:
    if (work.batch, work.accumulation) != (before.batch, before.accumulation):
        yield "per_device_train_batch_size", work.batch
        yield "gradient_accumulation_steps", work.accumulation
    if work.checkpointing != before.checkpointing:
        yield "gradient_checkpointing", work.checkpointing
    if work.completion_tokens != before.completion_tokens:
        yield "max_completion_length", work.completion_tokens


def _changes(planned: Case, work: Workload) -> Iterator[Change]:
    before = planned.work
    if work.batch != before.batch:
        yield Change(
            f"per_device_train_batch_size: {work.batch}, gradient_accumulation_steps: {work.accumulation}",
            f"no learning: the same gradient, from {work.accumulation} passes; a little time",
        )
    if work.checkpointing and not before.checkpointing:
        yield Change(
            "gradient_checkpointing: true",
            "no learning: the same gradient; each forward pass of the training again, about a third of its time",
        )
    if work.dtype != before.dtype:
        yield Change(
            "dtype: bfloat16",
            "precision: the model's own weights are rounded to 8 significant bits; the adapters are not"
            if work.lora_rank
            else "precision: weights have 8 significant bits, and changes below 1/256 of a weight are lost: with a "
            "small learning rate nothing is learnt",
        )
    if work.completion_tokens != before.completion_tokens:
        yield Change(
            f"max_completion_length: {work.completion_tokens}",
            f"answers: those beyond {work.completion_tokens} tokens are cut off and earn little",
        )
    if work.lora_rank and not before.lora_rank:
        share = adapter_parameters(planned.shape, work.lora_rank) / planned.shape.parameters
        yield Change(
            f"lora: {{r: {work.lora_rank}}}",
            f"capacity: {share:.1%} as many numbers are trained, with a learning rate about ten times as high; "
            "needs peerwatch[lora]",
        )
