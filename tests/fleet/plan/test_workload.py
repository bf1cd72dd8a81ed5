"""The settings that memory depends on, as the trainer will take them."""

from pathlib import Path
from typing import Any

import pytest

from fleet.plan.workload import Workload, workload
from trainer.config import TrainerConfig


def of(host: str = "cpu", **options: Any) -> Workload:
    return workload(TrainerConfig(name="a", run_dir=Path("a"), **options), host)


def test_a_peer_without_settings_is_planned_with_those_that_the_trainer_takes() -> None:
    tiny, other = of(), of(model="Qwen/Qwen3-0.6B")

    assert (tiny.batch, tiny.completion_tokens, tiny.checkpointing, tiny.prompt_tokens) == (8, 16, False, 102)
    assert (other.batch, other.completion_tokens, other.checkpointing, other.prompt_tokens) == (8, 512, True, 70)


def test_accumulated_batches_are_generated_together() -> None:
    work = of(grpo={"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4})

    assert (work.batch, work.generated) == (2, 8)


def test_adapters_need_no_reference_model() -> None:
    assert of(grpo={"beta": 0.04}).has_reference
    assert not of(grpo={"beta": 0.04}, lora={"r": 4}).has_reference


def test_the_device_of_the_configuration_comes_first() -> None:
    assert (of("mps").device, of("mps", device="cpu").device) == ("mps", "cpu")


def test_a_setting_that_is_no_number_is_named() -> None:
    with pytest.raises(ValueError, match=r"trainer\.grpo: "):
        of(grpo={"max_completion_length": None})
