"""The formula's parts: what each setting adds to a peer's peak, and what it saves."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.plan.footprint import MIB, Footprint, Line, predict
from fleet.plan.shapes import find_shape
from fleet.plan.workload import Workload

HALF_A_BILLION = find_shape("Qwen/Qwen2.5-0.5B-Instruct")
WORK = Workload(
    batch=8,
    accumulation=1,
    generations=8,
    completion_tokens=256,
    prompt_tokens=70,
    checkpointing=True,
    has_reference=False,
    dtype="float32",
    lora_rank=None,
    device="mps",
)


def of(**changes: Any) -> Footprint:
    return predict(HALF_A_BILLION, replace(WORK, **changes), system="darwin")


def part(footprint: Footprint, name: str) -> float:
    return sum(line.bytes for line in footprint.lines if line.name.startswith(name))


def test_half_a_billion_on_a_mac_needs_what_operators_report() -> None:
    assert 8e9 <= of().bytes <= 12e9


def test_weights_gradients_and_optimizer_are_four_times_the_weights() -> None:
    footprint = of()
    weights = part(footprint, "weights")

    assert weights == 4 * HALF_A_BILLION.parameters
    assert (part(footprint, "gradients"), part(footprint, "optimizer")) == (weights, 2 * weights)


def test_a_reference_model_costs_the_weights_again() -> None:
    assert of(has_reference=True).bytes - of().bytes == part(of(), "weights")


def test_bfloat16_halves_what_the_weights_bring() -> None:
    assert part(of(dtype="bfloat16"), "weights") == part(of(), "weights") / 2
    assert of(dtype="bfloat16").bytes < 0.75 * of().bytes


def test_a_tokenizer_takes_memory_by_its_words() -> None:
    more = predict(replace(HALF_A_BILLION, vocabulary=2 * HALF_A_BILLION.vocabulary), WORK, system="darwin")

    assert part(more, "tokenizer") == 2 * part(of(), "tokenizer") > 200 * MIB


def test_bfloat16_makes_products_of_the_head_in_float32() -> None:
    """With a copy of 32768 words, beside the tiles, which the allocator keeps below 32 MiB."""
    line, words = "logits of the backward pass", 32768 * HALF_A_BILLION.hidden * 4
    work = replace(WORK, device="cpu", batch=1, completion_tokens=64, checkpointing=False)
    half, whole, large = (
        predict(HALF_A_BILLION, replace(work, **changes), system="linux")
        for changes in ({"dtype": "bfloat16", "lora_rank": 16}, {"lora_rank": 16}, {"dtype": "bfloat16", "batch": 8})
    )
    tokens = work.tokens
    assert tokens * 32768 * 4 < 32 * MIB < 8 * tokens * 32768 * 4
    assert part(half, line) - part(whole, line) == words
    sums = HALF_A_BILLION.vocabulary * HALF_A_BILLION.hidden * 4
    assert part(large, line) == 8.5 * 8 * tokens * 32768 * 4 + sums


def test_adapters_on_bfloat16_keep_their_inputs_in_float32() -> None:
    work = replace(WORK, batch=1, checkpointing=False, lora_rank=16)
    half = predict(HALF_A_BILLION, replace(work, dtype="bfloat16"), system="darwin")
    plain = predict(HALF_A_BILLION, replace(work, dtype="bfloat16", lora_rank=None), system="darwin")
    inputs = sum(rows for rows, _ in HALF_A_BILLION.linear_sizes)

    assert part(half, "activations") - part(plain, "activations") == 4 * inputs * work.tokens * HALF_A_BILLION.layers


def test_adapters_leave_the_weights_without_gradients_and_optimizer() -> None:
    footprint = of(lora_rank=16)

    assert part(footprint, "weights") == part(of(), "weights")
    assert part(footprint, "gradients") + part(footprint, "optimizer") < 0.1 * part(footprint, "weights")


def test_smaller_batches_lower_the_peak_of_training_and_not_the_generation_cache() -> None:
    halves = of(batch=4, accumulation=2)

    assert halves.bytes < of().bytes
    assert part(halves, "generation cache") == part(of(), "generation cache")


def test_checkpointing_keeps_less() -> None:
    assert of().bytes < of(checkpointing=False).bytes


def test_only_the_larger_of_two_phases_counts() -> None:
    lines = (Line("a", 1, ""), Line("b", 10, "", phase="generating"), Line("c", 4, "", phase="training"))

    assert (Footprint(lines).bytes, Footprint(lines).phase) == (11, "generating")


def test_libraries_count_on_linux_and_once_for_all_peers() -> None:
    linux = predict(HALF_A_BILLION, replace(WORK, device="cpu"), system="linux")

    assert linux.shared_bytes == part(linux, "shared libraries") > 100 * MIB
    assert of().shared_bytes == 0


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda"])
def test_tensors_are_what_an_accelerator_holds(device: str) -> None:
    footprint = of(device=device)

    assert part(footprint, "weights") * 4 < footprint.accelerator_bytes < footprint.bytes
