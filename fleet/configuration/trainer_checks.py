"""What would end a trainer at once, beyond what its model validates: files, tasks, packages and devices.

Loads neither torch nor a user's code.
"""

import ast
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from exporter.files.named_file import read_named
from fleet.configuration.compose import holds
from fleet.configuration.load import Loaded
from fleet.configuration.validate import suggest
from fleet.configuration.yaml_lines import Location, Problem
from trainer.config import TrainerConfig, is_file_task, is_path, is_table
from trainer.grpo_settings.fields import FieldType
from trainer.grpo_settings.model_folder import find_model_mistake, read_kind
from trainer.grpo_settings.model_kind import find_setting_mistakes, find_target_mistake
from trainer.grpo_settings.nested import read_mapping
from trainer.suited import TINY, TINY_KIND
from trainer.tasks.table import OPTIONS
from trainer.tasks.table_file import find_table_mistake

_MODEL_ID = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?", re.ASCII)
_LONGEST_MODEL_ID = 96
_MAX_REWARD_BYTES = 1 << 20
# What a reward function is called with, each by its name.
PASSED = (
    *("prompts", "completions", "completion_ids", "question", "answer", "entry", "row"),
    *("trainer_state", "log_extra", "log_metric"),
)


def find_trainer_problems(loaded: Loaded) -> Iterator[Problem]:
    """Every problem, at each place of the file that has it."""
    for where, settings in _places(loaded, "model", needs=("grpo",)):
        if isinstance(settings["model"], str):
            yield from _model(where, settings["model"], settings)
    for where, settings in _places(loaded, "rewards"):
        for reward in settings["rewards"] if isinstance(settings["rewards"], list) else []:
            path, colon, function = str(reward).rpartition(":")
            if colon:
                yield from _reward(where, Path(path), function)
    for where, settings in _places(loaded, "device"):
        if not has_device(settings["device"]):
            yield Problem(where, f"the installed torch has no {settings['device']}; use auto, or install another build")
    for where, settings in _places(loaded, "lora"):
        if settings["lora"] is not None and importlib.util.find_spec("peft") is None:
            yield Problem(where, "needs the package peft: pip install 'peerwatch[lora]'; or remove it")
    for where, settings in _places(loaded, "lora", "target_modules", needs=("model",)):
        kind, targets = _kind(settings), settings["lora"]["target_modules"]
        if kind and isinstance(targets, list) and (mistake := find_target_mistake(kind, list(map(str, targets)))):
            yield Problem(where, mistake)
    for where, settings in _places(loaded, "grpo", "model_init_kwargs", needs=("model", "device")):
        if settings.get("model", TINY) != TINY:
            for mistake in _loading_mistakes(settings):
                yield Problem(where, mistake)
    for where, settings in _places(loaded, "load_in_4bit"):
        if settings["load_in_4bit"] is True and importlib.util.find_spec("bitsandbytes") is None:
            yield Problem(where, "needs the package bitsandbytes: pip install bitsandbytes; or remove it")
    for where, settings in _places(loaded, "task", needs=("task_options",)):
        if isinstance(settings["task"], str) and is_file_task(settings["task"]):
            options = settings.get("task_options")
            mistake = find_table_mistake(Path(settings["task"]), options if isinstance(options, dict) else {})
            if mistake:
                yield Problem(where, mistake)
    for where, settings in _places(loaded, "task_options"):
        if is_table(str(settings.get("task"))) and isinstance(settings["task_options"], dict):
            for name in set(settings["task_options"]) - set(OPTIONS):
                yield Problem((*where, name), f"unknown option of a dataset{suggest(name, OPTIONS)}")
    if importlib.util.find_spec("reasoning_gym") is not None:
        yield from _tasks(loaded)


def _places(loaded: Loaded, *path: str, needs: tuple[str, ...] = ()) -> Iterator[tuple[Location, dict[str, Any]]]:
    """Each place of the file that sets this trainer key, with the settings that it belongs to.

    Once, or as often as peers of other settings share it, of those that it needs.
    """
    seen = set()
    for peer in loaded.peers:
        settings = loaded.composition.trainer_settings.get(peer.name, {})
        where = (*peer.where, *path) if peer.where and holds(peer.overrides, path) else ("trainer", *path)
        one = where, repr([settings.get(name) for name in needs])
        if _sets(settings, path) and one not in seen:
            seen.add(one)
            yield where, settings


def _sets(settings: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(settings, dict) or key not in settings:
            return False
        settings = settings[key]
    return True


def _model(where: Location, model: str, settings: dict[str, Any]) -> Iterator[Problem]:
    if is_path(model):
        if not os.path.isdir(model):
            yield Problem(where, f"no folder {model}; set an existing folder or a Hugging Face id")
        elif mistake := find_model_mistake(Path(model), _loading_options(settings)):
            yield Problem(where, mistake)
    elif len(model) > _LONGEST_MODEL_ID or not _MODEL_ID.fullmatch(model):
        yield Problem(
            where, "neither tiny nor a Hugging Face id such as Qwen/Qwen2.5-0.5B; a folder begins with / or ./"
        )


def _kind(settings: dict[str, Any]) -> str | None:
    """The kind of model, as transformers names it; None where it is not known before it is downloaded."""
    model = settings.get("model", TINY)
    if model == TINY:
        return TINY_KIND
    return read_kind(Path(model)) if isinstance(model, str) and is_path(model) else None


def _loading_mistakes(settings: dict[str, Any]) -> Iterator[str]:
    options = _loading_options(settings)
    if kind := _kind(settings):
        yield from find_setting_mistakes(kind, options)
    placement = options.get("device_map")
    devices = placement.values() if isinstance(placement, dict) else [placement]
    for name in sorted({"cuda" if type(device) is int else str(device).partition(":")[0] for device in devices}):
        if not has_device(name):
            yield f"device_map: the installed torch has no {name}; use auto, or install another build"
    device = settings.get("device", "auto")
    is_on_cpu = device == "cpu" or (device == "auto" and not (has_device("cuda") or has_device("mps")))
    if options.get("attn_implementation") == "flex_attention" and is_on_cpu:
        yield "attn_implementation: flex_attention does not train on the cpu; use sdpa"


def _loading_options(settings: dict[str, Any]) -> dict[str, Any]:
    grpo = settings.get("grpo")
    options = grpo.get("model_init_kwargs") if isinstance(grpo, dict) else None
    with suppress(ValueError):
        options = read_mapping("model_init_kwargs", options, FieldType(frozenset({"dict"})))
    return options if isinstance(options, dict) else {}


def _reward(where: Location, path: Path, function: str) -> Iterator[Problem]:
    try:
        tree = ast.parse(read_named(path, _MAX_REWARD_BYTES))
    except OSError:
        yield Problem(where, f"cannot read {path}; check its path and permissions")
    except SyntaxError as error:
        yield Problem(where, f"{path}:{error.lineno}: {error.msg}; trainers cannot import it")
    except (ValueError, RecursionError, MemoryError):
        yield Problem(where, f"{path} is not Python; trainers cannot import it")
    else:
        names = _names_in(tree.body)
        if function not in names and "*" not in names:
            yield Problem(where, f"{path} has no function {function}{suggest(function, names)}")
        elif mistake := _find_function_mistake(tree, function):
            yield Problem(where, f"{path}: {function} {mistake}")


def _find_function_mistake(tree: ast.Module, name: str) -> str | None:
    """Why the function cannot be called; None where it can be, or where nothing is known of what the name means."""
    binding = [node for node in tree.body if name in _names_in([node])]
    node = binding[0] if len(binding) == 1 else None
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
        return "is no function"
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name != name or node.decorator_list:
        return None
    given = node.args
    if given.kwarg is None:
        return f"takes no further arguments; write def {name}(completions, **kwargs)"
    needed = given.args[: len(given.args) - len(given.defaults)]
    needed += [one for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None]
    for argument in given.posonlyargs + needed:
        if argument.arg not in PASSED or argument in given.posonlyargs:
            return f"is called without {argument.arg}; what it may ask for by name: {', '.join(PASSED)}"
    return None


def _names_in(body: list[ast.stmt]) -> set[str]:
    """What a module's statements may bind, also within `if` and `try`; * for what is not known."""
    names: set[str] = set()
    for node in ast.walk(ast.Module(body, [])):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("globals", "setattr"):
            names.add("*")
    return names


def has_device(device: object) -> bool:
    """Whether the installed torch was built for it, as far as that can be told without loading torch."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return True
    if device == "mps":
        return sys.platform == "darwin"
    if device != "cuda":
        return True
    try:
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return True
    return not re.search(r"^cuda\b.*= None$", text, re.MULTILINE) or not re.search(
        r"^hip\b.*= None$", text, re.MULTILINE
    )


def _tasks(loaded: Loaded) -> Iterator[Problem]:
    default = TrainerConfig.model_fields["task"].default
    for where, settings in _places(loaded, "task"):
        if settings["task"] != default:
            yield from _task(where, settings["task"])
    for where, settings in _places(loaded, "task_options"):
        if settings["task_options"]:
            yield from _task_options(where, settings.get("task", default), settings["task_options"])


def _task(where: Location, task: object) -> Iterator[Problem]:
    import reasoning_gym.factory

    datasets = reasoning_gym.factory.DATASETS
    if isinstance(task, str) and not is_table(task) and task not in datasets:
        yield Problem(where, f"unknown reasoning-gym dataset {task}{suggest(task, datasets)}")


def _task_options(where: Location, task: object, options: object) -> Iterator[Problem]:
    import reasoning_gym.factory

    datasets = reasoning_gym.factory.DATASETS
    if not isinstance(task, str) or task not in datasets or not isinstance(options, dict):
        return
    _, settings = datasets[task]
    known = {one.name for one in fields(settings)}
    unknown = [name for name in options if name not in known]
    for name in unknown:
        yield Problem((*where, name), f"unknown option of {task}{suggest(name, known)}")
    if unknown:
        return
    try:
        settings(**options).validate()
    except (TypeError, ValueError, AssertionError, AttributeError, LookupError) as error:
        reason = " ".join(str(error).split())[:200]
        yield Problem(where, f"rejected by {task}: {reason or type(error).__name__}")
