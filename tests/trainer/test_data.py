"""Tasks become rows, and the tiny model is tiny."""

from pathlib import Path
from typing import Any

import pytest

from tests.lazy import lazily
from trainer.config import TrainerConfig

data = lazily("trainer.data")


def config(**options: Any) -> TrainerConfig:
    return TrainerConfig(name="a", run_dir=Path("/tmp/a"), **options)


def test_rows_carry_what_rewards_need() -> None:
    task = data.load_task(config())

    row = task.dataset(conversational=False)[7]

    assert row["prompt"] == row["question"] == task.source[7]["question"]
    assert task.judge(row["entry"], row["answer"]) == 1.0
    assert task.judge(row["entry"], "no number") == 0.0


def test_the_seed_decides_the_questions() -> None:
    first, same, other = (data.load_task(config(seed=seed)).dataset(conversational=False)[0] for seed in (1, 1, 2))

    assert first["question"] == same["question"] != other["question"]


def test_chat_models_get_messages() -> None:
    row = data.load_task(config()).dataset(conversational=True)[0]

    assert row["prompt"] == [{"role": "user", "content": row["question"]}]


def test_questions_do_not_run_out() -> None:
    assert len(data.load_task(config(task_options={"size": 10})).dataset(conversational=False)) == data.QUESTIONS


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
