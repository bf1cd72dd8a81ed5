"""What the installed transformers' sources say of one kind of model: its settings and its parts, without loading it.

Each reader returns None where the kind's sources are missing or laid out otherwise: then nothing can be said.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from trainer.grpo_settings.convert import convert
from trainer.grpo_settings.fields import FieldType, class_fields, is_name, parse_source, read_annotation

# The tables of classes that generate text, in their order of use.
_GENERATING = ("CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "SEQ_2_SEQ", "VISION_2_SEQ")
# What peft puts adapters on.
_ADAPTABLE = frozenset({"Linear", "Embedding", "Conv1d", "Conv2d", "Conv3d", "Conv1D", "MultiheadAttention"})
# What it does not, with all that the sources derive from them.
_COMPOSED = (
    *("Module", "ModuleList", "Sequential", "GradientCheckpointingLayer", "PreTrainedModel"),
    *("Dropout", "GELU", "GroupNorm", "LayerNorm", "ReLU", "SiLU", "Sigmoid", "Softmax", "Tanh"),
)


@cache
def generates(architecture: str) -> bool | None:
    """Whether a class of models generates text; None for one that no table names."""
    tree = parse_source("transformers", "models/auto/modeling_auto.py")
    is_known = False
    for node in tree.body if tree else ():
        if isinstance(node, ast.Assign) and architecture in _texts(node.value):
            is_known = True
            if any(words in ast.unparse(node.targets[0]) for words in _GENERATING):
                return True
    return False if is_known else None


def find_setting_mistakes(kind: str, options: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the options that a model of this kind is loaded with."""
    types, known = (_setting_types(kind), _known_options(kind)) if options else (None, None)
    if types is None or known is None:
        return
    for name, value in options.items():
        if str(name) not in known or not str(name).isidentifier():
            yield f"{str(name)[:60]}: neither an option of loading a model nor a setting of {kind}"
        elif name in types and not {"object", "Any"} & types[name].kinds:
            try:
                read = convert(value, types[name])
            except ValueError as error:
                yield f"{name}: {error}"
            else:
                # The model takes it as it stands in the file, and a whole number for none with a fraction.
                exact = float(read) if type(read) is int and "int" not in types[name].kinds else read
                if type(exact) is not type(value):
                    yield f"{name}: should be written {exact!r}, not {value!r}"


def find_target_mistake(kind: str, targets: Sequence[str]) -> str | None:
    """What keeps adapters from the modules of these names."""
    parts = _parts(kind)
    if parts is None:
        return None
    # Layers in a list have numbers.
    found = [one for one in targets if all(part in parts or part.isdigit() for part in one.split("."))]
    for name in [target.rpartition(".")[2] for target in found]:
        if name == "lm_head" and _refuses_head():
            return "lm_head: trl allows no adapter on it; remove it"
        if parts.get(name) is False:
            return f"{name}: no adapter can be put on it, as it is no single layer of weights; name those within"
    if found:
        return None
    layers = sorted(name for name, is_layer in parts.items() if is_layer and name != "lm_head")
    return f"{kind} has none of {', '.join(targets)[:100]}; it has {', '.join(layers)[:200]}"


@cache
def _setting_types(kind: str) -> Mapping[str, FieldType] | None:
    tree = _source(kind, "configuration")
    if tree is None:
        return None
    found: dict[str, FieldType] = {}
    for class_name in [node.name for node in tree.body if isinstance(node, ast.ClassDef)]:
        for name, annotation in class_fields(tree, class_name).items():
            read = read_annotation(annotation, {})
            # Of a model made of several, each part may have another.
            found[name] = read if found.get(name, read) == read else FieldType(frozenset({"Any"}))
    return found or None


@cache
def _known_options(kind: str) -> frozenset[str] | None:
    """Every name that loading a model might take: too many rather than too few."""
    trees = (
        parse_source("transformers", "modeling_utils.py"),
        parse_source("transformers", "configuration_utils.py"),
        _source(kind, "configuration"),
    )
    return frozenset().union(*(_words(tree) for tree in trees if tree)) if all(trees) else None


@cache
def _parts(kind: str) -> Mapping[str, bool | None] | None:
    """The modules within a model, by name: whether adapters can be put on them, None where that is not known."""
    tree = _source(kind, "modeling")
    if tree is None or any(map(_brings_parts, ast.walk(tree))):
        return None
    composed = set(_COMPOSED)
    for one in tree.body:
        if isinstance(one, ast.ClassDef) and any(_last_name(base) in composed for base in one.bases):
            composed.add(one.name)
    found: dict[str, bool | None] = {}
    for name, made in _attributes(tree):
        judged = _is_adaptable(made, composed)
        # Parts of one name may be of several kinds.
        found[name] = judged if found.get(name, judged) is judged else None
    return found if True in found.values() else None


def _attributes(tree: ast.Module) -> Iterator[tuple[str, ast.expr | None]]:
    """What the classes of a module set on themselves, but for tensors."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        if isinstance(node.value, ast.Call) and _last_name(node.value.func) == "Parameter":
            continue
        for one in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(one, ast.Attribute) and is_name(one.value, "self"):
                yield one.attr, node.value


def _brings_parts(node: ast.AST) -> bool:
    """Whether a model has parts of another kind, from another file of its own, or with names that it makes up."""
    if isinstance(node, ast.ImportFrom):
        return node.level == 2 or (node.level == 1 and not str(node.module).startswith("configuration_"))
    return isinstance(node, ast.Name | ast.Attribute) and _last_name(node).startswith(("AutoModel", "ModuleDict"))


def _is_adaptable(made: ast.expr | None, composed: set[str]) -> bool | None:
    if isinstance(made, ast.Subscript) and is_name(made.value, "ACT2FN"):
        return False
    name = _last_name(made.func) if isinstance(made, ast.Call) else ""
    return True if name in _ADAPTABLE else False if name in composed else None


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


@cache
def _refuses_head() -> bool:
    tree = parse_source("trl", "trainer/grpo_trainer.py")
    return tree is not None and any("adapter to `lm_head`" in text for text in _texts(tree))


def _source(kind: str, what: str) -> ast.Module | None:
    folder = kind.replace("-", "_")
    return parse_source("transformers", f"models/{folder}/{what}_{folder}.py") if folder.isidentifier() else None


def _words(tree: ast.AST) -> set[str]:
    return {
        word
        for node in ast.walk(tree)
        for word in (
            getattr(node, "arg", None),
            getattr(node, "attr", None),
            node.name if isinstance(node, ast.FunctionDef) else None,
            node.target.id if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else None,
            node.value if isinstance(node, ast.Constant) else None,
        )
        if isinstance(word, str)
    }


def _texts(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
