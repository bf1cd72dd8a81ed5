"""What generation and learning rate schedules of the installed transformers take, read from its sources."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache

from trainer.grpo_settings.fields import FieldType, is_name, parse_source, read_annotation

# What every schedule gets from the trainer.
_OF_THE_TRAINER = ("optimizer", "num_warmup_steps", "num_training_steps", "last_epoch")
# `top_p (`float`, *optional*):` in a docstring.
_DOCUMENTED = re.compile(r"^ *(\w+) ?\((.+?)(?:, \*optional.*)?\):", re.MULTILINE)


@cache
def schedule_options(kind: str) -> Mapping[str, FieldType] | None:
    """The options of one value of `lr_scheduler_type`; None where its function is unknown, or takes anything."""
    tree = parse_source("transformers", "optimization.py")
    name = _schedules().get(kind)
    for node in tree.body if tree else ():
        if isinstance(node, ast.FunctionDef) and node.name == name and node.args.kwarg is None:
            return dict(_parameters(node))
    return None


@cache
def generation_options() -> Mapping[str, FieldType]:
    """The options of generation whose types are documented."""
    tree = parse_source("transformers", "generation/configuration_utils.py")
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef) and node.name == "GenerationConfig":
            found = dict(_documented(ast.get_docstring(node) or ""))
            return {name: one for name, one in found.items() if not {"object", "Any"} & one.kinds}
    return {}


def attentions() -> tuple[str, ...]:
    """The implementations of attention that have a name, but for those of a server's continuous batches."""
    return tuple(name for name in _implementations("modeling_utils.py") if not name.startswith("paged|"))


def experts() -> tuple[str, ...]:
    """The implementations of a mixture of experts that have a name."""
    return _implementations("integrations/moe.py")


@cache
def _implementations(file: str) -> tuple[str, ...]:
    tree = parse_source("transformers", file)
    for node in ast.walk(tree) if tree else ():
        is_table = isinstance(node, ast.Assign) and is_name(node.targets[0], "_global_mapping")
        if is_table and isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            return ("eager", *(str(key.value) for key in node.value.keys if isinstance(key, ast.Constant)))
    return ()


def _schedules() -> dict[str, str]:
    """The function of each kind of schedule."""
    kinds = {}
    for node in ast.walk(parse_source("transformers", "trainer_utils.py") or ast.Module([], [])):
        if isinstance(node, ast.ClassDef) and node.name == "SchedulerType":
            for one in node.body:
                if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
                    kinds[one.targets[0].id] = str(getattr(one.value, "value", ""))
    tree = parse_source("transformers", "optimization.py")
    for node in tree.body if tree else ():
        is_table = isinstance(node, ast.Assign) and is_name(node.targets[0], "TYPE_TO_SCHEDULER_FUNCTION")
        if is_table and isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return {
                kinds.get(key.attr, key.attr): value.id
                for key, value in pairs
                if isinstance(key, ast.Attribute) and isinstance(value, ast.Name)
            }
    return {}


def _parameters(function: ast.FunctionDef) -> Iterator[tuple[str, FieldType]]:
    """The type of each parameter by its annotation, or by its default; texts by what they are compared with."""
    arguments = function.args.args
    defaults = dict(zip((one.arg for one in reversed(arguments)), reversed(function.args.defaults), strict=False))
    for argument in arguments:
        default = defaults.get(argument.arg)
        if argument.arg in _OF_THE_TRAINER:
            continue
        if argument.annotation is not None:
            found = read_annotation(argument.annotation, {})
        else:
            value = default.value if isinstance(default, ast.Constant) else None
            found = FieldType(frozenset({"Any" if value is None else type(value).__name__}))
        yield argument.arg, found._replace(choices=_compared(function, argument.arg) if "str" in found.kinds else ())


def _compared(function: ast.FunctionDef, name: str) -> tuple[str, ...]:
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and is_name(node.left, name) and isinstance(node.comparators[0], ast.List):
            return tuple(str(one.value) for one in node.comparators[0].elts if isinstance(one, ast.Constant))
    return ()


def _documented(text: str) -> Iterator[tuple[str, FieldType]]:
    for name, words in _DOCUMENTED.findall(text):
        try:
            annotation = ast.parse(words.replace("`", "").replace(" or ", " | "), mode="eval").body
        except SyntaxError:
            continue
        found = read_annotation(annotation, {})
        yield name, found._replace(kinds=found.kinds | {"None"})
