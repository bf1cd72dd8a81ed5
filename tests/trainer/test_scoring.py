"""Reward names become functions that TRL can call."""

from pathlib import Path

import pytest

from trainer.scoring import load_function, reward_functions, text_of, totals


def judge(entry: object, answer: str) -> float:
    return 1.0 if {"answer": answer} == entry else 0.0


def test_built_in_rewards_carry_their_names_and_judge_each_row_by_its_entry() -> None:
    correctness, form = reward_functions(["correctness", "answer_form"], judge)
    rows = {"completions": ["1", "1"], "answer": ["1", "2"], "entry": [{"answer": "1"}, {"answer": "2"}]}

    assert correctness(**rows, prompts=["", ""]) == [1.0, 0.0]
    assert (correctness.__name__, form.__name__) == ("correctness", "answer_form")


def test_a_users_function_is_loaded_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "my rewards.py"
    path.write_text("def short(completions, **kwargs):\n    return [-float(len(text)) for text in completions]\n")

    (function,) = reward_functions([f"{path}:short"], judge)

    assert function(completions=["abc"]) == [-3.0]
    assert function.__name__ == "short"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), ("def other(): ...", "has no function short"), ("1 / 0", "ZeroDivisionError")],
)
def test_load_errors_are_reported_in_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "own.py"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ValueError, match=message):
        load_function(f"{path}:short")


def test_chat_completions_are_read_as_their_text() -> None:
    assert text_of([{"role": "assistant", "content": "12"}]) == "12"
    assert text_of("12") == "12"


def test_a_reward_that_is_not_finite_is_ignored() -> None:
    assert totals([[1.0, 2.0], [float("nan"), 2.0], [float("inf"), 0.0]], [1.0, 0.5]) == [2.0, 1.0, 0.0]
