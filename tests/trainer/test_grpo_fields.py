"""The names read from the source are those of the class itself."""

import dataclasses

import pytest

from trainer.grpo_fields import class_fields, known_fields


@pytest.mark.filterwarnings("ignore")
def test_the_known_fields_are_those_of_the_installed_grpo_config() -> None:
    from trl import GRPOConfig

    assert known_fields() == {field.name for field in dataclasses.fields(GRPOConfig) if field.init}


def test_only_annotated_public_names_of_the_class_count() -> None:
    source = "x: int = 0\nclass A:\n    a: int = 1\n    b = 2\n    _c: int = 3\n    def f(self):\n        d: int = 4\n"

    assert class_fields(source, "A") == {"a"}
