"""What is read from the sources is what the classes themselves say."""

import ast
import dataclasses
from typing import Literal, Union, get_args, get_origin, get_type_hints

import pytest

from trainer.grpo_settings.fields import (
    FieldType,
    accelerator_options,
    class_fields,
    compared_texts,
    field_types,
    known_fields,
    read_annotation,
    reporters,
)


@pytest.mark.filterwarnings("ignore")
def test_the_known_fields_are_those_of_the_installed_grpo_config() -> None:
    from trl import GRPOConfig

    assert known_fields() == {field.name for field in dataclasses.fields(GRPOConfig) if field.init}


def _kinds(hint: object) -> set[str]:
    """The names of the plain types that a type hint allows."""
    if get_origin(hint) is Literal:
        return {type(value).__name__ for value in get_args(hint)}
    if get_origin(hint) is Union or type(hint).__name__ == "UnionType":
        return set().union(*map(_kinds, get_args(hint)))
    origin = get_origin(hint) or hint
    if origin is type(None):
        return {"None"}
    if isinstance(origin, type) and issubclass(origin, str):
        return {"str"}
    return {origin.__name__} if origin in (int, float, bool, dict, list) else {"object"}


@pytest.mark.filterwarnings("ignore")
def test_the_types_are_those_of_the_installed_grpo_config() -> None:
    from trl import GRPOConfig

    types = field_types()
    assert types is not None
    hints = get_type_hints(GRPOConfig)
    # As a string's class, an enumeration is `str` in both.
    assert {name: set(found.kinds) for name, found in types.items()} == {name: _kinds(hints[name]) for name in types}
    for name, found in types.items():
        (items,) = [get_args(one)[0] for one in (hints[name], *get_args(hints[name])) if get_origin(one) is list] or [
            None
        ]
        assert set(found.items) == (set() if items is None else _kinds(items)), name


@pytest.mark.filterwarnings("ignore")
def test_the_choices_are_those_of_the_installed_classes() -> None:
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
    from transformers.trainer_pt_utils import AcceleratorConfig
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames

    types = field_types()
    assert types is not None
    assert set(types["lr_scheduler_type"].choices) == {one.value for one in SchedulerType}
    assert set(types["optim"].choices) == {one.value for one in OptimizerNames}
    assert set(reporters()) == set(INTEGRATION_TO_CALLBACK)
    assert set(accelerator_options()) == {field.name for field in dataclasses.fields(AcceleratorConfig)}
    for name in ("loss_type", "scale_rewards", "importance_sampling_level", "multi_objective_aggregation", "vllm_mode"):
        default = next(one.default for one in dataclasses.fields(__import__("trl").GRPOConfig) if one.name == name)
        assert default in compared_texts(name)
        assert len(compared_texts(name)) > 1


@pytest.mark.parametrize(
    ("annotation", "kinds", "items"),
    [
        ("int", {"int"}, set()),
        ("float | None", {"float", "None"}, set()),
        ("Optional[int]", {"int", "None"}, set()),
        ("Union[str, list[float]]", {"str", "list"}, {"float"}),
        ("dict[str, Any] | str", {"dict", "str"}, set()),
        ("Literal[False] | str", {"bool", "str"}, set()),
        ("Colour | str", {"str"}, set()),
        ("Path", {"object"}, set()),
    ],
)
def test_an_annotation_is_read_as_python_does(annotation: str, kinds: set[str], items: set[str]) -> None:
    found = read_annotation(ast.parse(annotation, mode="eval").body, {"Colour": ("red",)})
    assert found == FieldType(frozenset(kinds), frozenset(items), ("red",) if "Colour" in annotation else ())


def test_only_annotated_public_names_of_the_class_count() -> None:
    source = "x: int = 0\nclass A:\n    a: int = 1\n    b = 2\n    _c: int = 3\n    def f(self):\n        d: int = 4\n"

    assert list(class_fields(ast.parse(source), "A")) == ["a"]
