"""The form of an answer earns a partial reward."""

import pytest

from trainer.rewards import answer_form


def judge(text: str) -> float:
    raise AssertionError("the form does not call the judge")


def test_text_of_the_answers_form_and_length_earns_the_full_reward() -> None:
    assert answer_form.score("-98", "-12", judge) == 1.0


def test_each_character_of_another_kind_costs() -> None:
    scores = [answer_form.score(text, "12", judge) for text in ("34", "3x", "yx")]

    assert scores == [1.0, 0.5, 0.0]


def test_length_counts_for_half() -> None:
    assert answer_form.score("3333", "12", judge) == pytest.approx(0.75)


def test_empty_text_earns_nothing() -> None:
    assert answer_form.score("", "12", judge) == 0.0
    assert answer_form.score("12", "", judge) == 0.0
