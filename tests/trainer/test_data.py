"""Tasks become rows, and the tiny model is tiny."""

from pathlib import Path
from typing import Any

import pytest

from tests.lazy import lazily
from trainer.config import TrainerConfig

data = lazily("trainer.data")


def config(**options: Any) -> TrainerConfig:
    return TrainerConfig(name="a", run_dir=Path("/tmp/a"), **options)


def test_the_task_judges_its_own_questions() -> None:
    task = data.load_task(config())

    entry = task.entry(7)

    assert task.judge(entry, entry["answer"]) == 1.0
    assert task.judge(entry, "no number") == 0.0


def test_all_peers_answer_the_same_questions_unless_the_task_has_a_seed() -> None:
    one, other = (data.load_task(config(seed=seed)).entry(0) for seed in (1, 2))
    seeded = data.load_task(config(task_options={"seed": 3})).entry(0)

    assert one["question"] == other["question"] != seeded["question"]


def test_questions_do_not_run_out() -> None:
    task = data.load_task(config(task_options={"size": 10}))

    assert task.entry(13) == task.entry(3)


@pytest.mark.parametrize(
    ("load", "options", "message"),
    [
        ("load_task", {"task": "chain_sun"}, "unknown reasoning-gym dataset 'chain_sun'; did you mean chain_sum\\?"),
        ("load_task", {"task_options": {"max_turns": 3}}, "task_options: rejected by chain_sum"),
        ("load_model", {"model": "./no/such/model"}, "model: './no/such/model' cannot be loaded"),
    ],
)
def test_load_errors_are_reported_in_one_line(load: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        getattr(data, load)(config(**options))

    assert "\n" not in str(caught.value)


def test_any_text_survives_the_byte_tokenizer() -> None:
    tokenizer = data.byte_tokenizer()
    text = "Calculate -5 + 77.\n\t«ü» 数 🦊"

    tokens = tokenizer(text)["input_ids"]

    assert tokenizer.decode(tokens) == text
    assert len(tokens) == len(text.encode())
    assert len(tokenizer) == 258


def test_the_tiny_model_has_about_a_million_parameters() -> None:
    count = sum(parameter.numel() for parameter in data.tiny_model(data.byte_tokenizer()).parameters())

    assert 0.8e6 < count < 1.2e6
