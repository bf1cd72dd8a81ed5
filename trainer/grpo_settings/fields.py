"""What the installed trl.GRPOConfig takes, read from the sources of trl and transformers without loading either.

Each reader returns None where the package is not installed or its layout is unknown: then nothing can be said.
"""

import ast
import importlib.util
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

# GRPOConfig and the classes it inherits from, the furthest first, each with the file that defines it.
_SOURCES = (
    ("transformers", "training_args.py", "TrainingArguments"),
    ("trl", "trainer/base_config.py", "_BaseConfig"),
    ("trl", "trainer/grpo_config.py", "GRPOConfig"),
)
_ENUMERATIONS = (
    ("transformers", "trainer_utils.py"),
    ("transformers", "training_args.py"),
    ("transformers", "debug_utils.py"),
)
_KINDS = frozenset({"int", "float", "bool", "str", "dict", "list", "Any"})


class FieldType(NamedTuple):
    """A field's annotation: `kinds` of its values, by Python name (`None`, `object` for what YAML cannot hold);
    `items` of a list's; `choices` where one of its types is an enumeration."""

    kinds: frozenset[str]
    items: frozenset[str] = frozenset()
    choices: tuple[str, ...] = ()


@cache
def field_types() -> Mapping[str, FieldType] | None:
    """The type of every field that GRPOConfig takes."""
    enumerations = _enumerations()
    types: dict[str, FieldType] = {}
    for package, file, class_name in _SOURCES:
        tree = parse_source(package, file)
        found = class_fields(tree, class_name) if tree else {}
        if not found:
            return None
        types |= {name: read_annotation(annotation, enumerations) for name, annotation in found.items()}
    return types


def known_fields() -> frozenset[str] | None:
    """The names of all fields that GRPOConfig takes."""
    types = field_types()
    return None if types is None else frozenset(types)


@cache
def compared_texts(field: str) -> tuple[str, ...]:
    """The texts that TRL's trainer compares an attribute of this name with; empty if it compares none."""
    tree = parse_source("trl", "trainer/grpo_trainer.py")
    texts = {
        text.value
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Compare) and any(_is_attribute(side, field) for side in (node.left, *node.comparators))
        for side in (node.left, *node.comparators)
        for text in ast.walk(side)
        if isinstance(text, ast.Constant) and isinstance(text.value, str)
    }
    return tuple(sorted(texts))


@cache
def reporters() -> tuple[str, ...]:
    """The values of `report_to` that transformers knows."""
    tree = parse_source("transformers", "integrations/integration_utils.py")
    for node in tree.body if tree else ():
        is_table = isinstance(node, ast.Assign) and is_name(node.targets[0], "INTEGRATION_TO_CALLBACK")
        if is_table and isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            return tuple(str(key.value) for key in node.value.keys if isinstance(key, ast.Constant))
    return ()


@cache
def accelerator_options() -> tuple[str, ...]:
    """The keys of `accelerator_config`."""
    tree = parse_source("transformers", "trainer_pt_utils.py")
    return tuple(class_fields(tree, "AcceleratorConfig")) if tree else ()


@cache
def dataset_suffixes() -> frozenset[str]:
    """The endings of files that the installed datasets reads; none where it is missing or built otherwise."""
    tree = parse_source("datasets", "packaged_modules/__init__.py")
    nodes = ast.walk(tree) if tree else ()
    texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return frozenset(text for text in texts if re.fullmatch(r"\.\w+", text))


def class_fields(tree: ast.Module, class_name: str) -> dict[str, ast.expr]:
    """The annotated public names in the body of one class of a module, each with its annotation."""
    return {
        statement.target.id: statement.annotation
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == class_name
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if not statement.target.id.startswith("_")
    }


def read_annotation(node: ast.expr, enumerations: Mapping[str, tuple[str, ...]]) -> FieldType:
    """The type that an annotation such as `list[float] | None` means."""
    if isinstance(node, ast.BinOp):
        return _union(read_annotation(node.left, enumerations), read_annotation(node.right, enumerations))
    if isinstance(node, ast.Constant):
        return FieldType(frozenset({"None"} if node.value is None else {"object"}))
    if isinstance(node, ast.Subscript):
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name in ("Optional", "Union"):
            first, *others = (read_annotation(one, enumerations) for one in inside)
            for other in others:
                first = _union(first, other)
            return _union(first, FieldType(frozenset({"None"}))) if name == "Optional" else first
        if name == "Literal":
            values = [one.value for one in inside if isinstance(one, ast.Constant)]
            return FieldType(frozenset(type(value).__name__ for value in values))
        if name == "list":
            below = read_annotation(inside[0], enumerations)
            return FieldType(frozenset({"list"}), below.kinds, below.choices)
        return FieldType(frozenset({name if name in _KINDS else "object"}))
    name = node.id if isinstance(node, ast.Name) else ""
    if name in enumerations:
        return FieldType(frozenset({"str"}), choices=enumerations[name])
    return FieldType(frozenset({name if name in _KINDS else "object"}))


def _union(one: FieldType, other: FieldType) -> FieldType:
    return FieldType(one.kinds | other.kinds, one.items | other.items, one.choices or other.choices)


def _enumerations() -> dict[str, tuple[str, ...]]:
    """The values of each class of constants, by its name."""
    found = {}
    for package, file in _ENUMERATIONS:
        tree = parse_source(package, file)
        for node in tree.body if tree else ():
            if isinstance(node, ast.ClassDef) and any(is_name(base, "ExplicitEnum") for base in node.bases):
                constants = [one.value for one in node.body if isinstance(one, ast.Assign)]
                found[node.name] = tuple(str(one.value) for one in constants if isinstance(one, ast.Constant))
    return found


@cache
def parse_source(package: str, file: str) -> ast.Module | None:
    """A module of an installed package; None where it is missing or no Python."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    try:
        return ast.parse((Path(spec.origin).parent / file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None


def _is_attribute(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == name


def is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
