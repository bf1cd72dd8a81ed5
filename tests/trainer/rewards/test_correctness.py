"""Correctness is the task's own score."""

from trainer.rewards import correctness


def judge(text: str) -> float:
    return 1.0 if text == "12" else 0.0


def test_the_whole_text_is_judged_without_surrounding_space() -> None:
    assert correctness.score(" 12\n", "12", judge) == 1.0
    assert correctness.score("so it is 12", "12", judge) == 0.0


def test_the_last_marked_answer_is_judged() -> None:
    assert correctness.score("<answer>7</answer> no, <answer> 12 </answer>.", "12", judge) == 1.0
