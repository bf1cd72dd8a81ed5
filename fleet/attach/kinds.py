"""Which trainer a process is: by its command line, by what its script imports, by the libraries that it has mapped."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from exporter.attached_process import is_about_commands
from fleet.attach.command_line import Started, read_command
from fleet.attach.facts import ProcessFacts

# The text of a file that the trainer's user may read; empty for any other.
ReadText = Callable[[Path], str]

PEERWATCH = "peerwatch"
RL_SWARM = "rl-swarm"
VLLM = "vllm"
UNKNOWN = "unknown"

_TRL_COMMANDS = ("dpo", "grpo", "kto", "reward", "rloo", "sft")


class _Known(NamedTuple):
    """A kind by name of the module, program or script, and by the command that follows it, if it has several."""

    kind: str
    name: str
    commands: tuple[str, ...] = ()


_KNOWN = (
    _Known(PEERWATCH, r"trainer"),
    _Known(RL_SWARM, r"hivemind_exp\..*train_single_gpu|(?:\w+\.)*swarm_launcher(?:\.py)?|run_rl_swarm\.sh"),
    _Known(VLLM, r"vllm", ("serve",)),
    _Known(VLLM, r"vllm\.entrypoints\..*|VLLM::.*|trl\.scripts\.vllm_serve|vllm_serve\.py|sglang\.launch_server"),
    _Known(VLLM, r"trl", ("vllm-serve",)),
    _Known("verl", r"verl\..*"),
    _Known("prime-rl", r"prime_rl\..*|zeroband\..*"),
    _Known("ms-swift", r"swift|megatron", ("pt", "rlhf", "sft")),
    _Known("ms-swift", r"swift\.cli\.(?:pt|rlhf|sft)"),
    _Known("llama-factory", r"llamafactory-cli|lmf", ("train",)),
    _Known("llama-factory", r"llamafactory\..*"),
    _Known("mlx", r"mlx_lm\.lora|mlx_lm_lora(?:\.train)?"),
    _Known("mlx", r"mlx_lm", ("lora",)),
    _Known("openrlhf", r"openrlhf\.cli\.train_.*"),
    _Known("trl", r"trl", _TRL_COMMANDS),
    _Known("trl", rf"trl\.scripts\.(?:{'|'.join(_TRL_COMMANDS)})"),
    _Known("transformers", r"axolotl\.cli\.train"),
    _Known("transformers", r"axolotl", ("train",)),
)
_PATHS = (
    ("ms-swift", re.compile(r"(?:^|/)swift/cli/(?:_megatron/)?(?:pt|rlhf|sft)\.py$")),
    ("llama-factory", re.compile(r"(?:^|/)llamafactory/(?:launcher|cli)\.py$")),
    ("trl", re.compile(rf"(?:^|/)trl/scripts/(?:{'|'.join(_TRL_COMMANDS)})\.py$")),
    (VLLM, re.compile(r"(?:^|/)trl/scripts/vllm_serve\.py$")),
)

# What a script imports, the more special before what it builds on.
_IMPORTS = (
    ("unsloth", "unsloth"),
    ("verl", "verl"),
    ("prime-rl", "prime_rl"),
    ("ms-swift", "swift"),
    ("llama-factory", "llamafactory"),
    ("openrlhf", "openrlhf"),
    ("mlx", "mlx_lm_lora"),
    ("mlx", "mlx_lm"),
    ("trl", "trl"),
)
_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
# Libraries that scripts use for other things as well.
_OF_MANY_USES = ("mlx_lm", "trl", "unsloth")
_TRAINS = re.compile(r"Trainer\b|TrainingArguments\b|\btrain\b")
# A script of transformers may as well only generate.
_TRAINS_WITH_TRANSFORMERS = re.compile(r"\w*Trainer\(|TrainingArguments\(")

# Parts of Peerwatch that map libtorch through what they import, and parts of Ray that belong to a driver elsewhere.
_NO_TRAINERS = re.compile(r"(?:exporter|alerts|fleet|grafana)(?:\..*)?|peerwatch|ray::.*|ray\..*|default_worker\.py")


def find_kind(process: ProcessFacts, read_text: ReadText, *, is_named: bool = False) -> str | None:
    """The kind of trainer; None if it is none.

    `unknown` is a Python process with libtorch mapped, or one that its user names as a trainer.
    """
    if is_about_commands(process.command):
        return None
    started = read_command(process.command)
    if _NO_TRAINERS.fullmatch(started.name) or _NO_TRAINERS.match(process.command[0]):
        return None
    return (
        _by_name(started)
        or next((kind for kind, path in _PATHS if path.search(started.path)), None)
        or _by_script(started, process.folder, read_text)
        or (UNKNOWN if process.maps_torch or is_named else None)
    )


def _by_name(started: Started) -> str | None:
    for known in _KNOWN:
        if not re.fullmatch(known.name, started.name):
            continue
        if known.kind == PEERWATCH and not (started.is_module and started.arguments[:1] == ("--config",)):
            continue
        if not known.commands or (started.arguments and started.arguments[0] in known.commands):
            return known.kind
    return None


def _by_script(started: Started, folder: Path | None, read_text: ReadText) -> str | None:
    path = locate_script(started, folder)
    text = read_text(path) if path is not None else ""
    modules = set(_IMPORT.findall(text))
    for kind, module in _IMPORTS:
        if module in modules and (module not in _OF_MANY_USES or _TRAINS.search(text)):
            return kind
    if "transformers" in modules and _TRAINS_WITH_TRANSFORMERS.search(text):
        return "transformers"
    return None


def locate_script(started: Started, folder: Path | None) -> Path | None:
    """The Python script that is started; None for a module, and where the working directory is not known."""
    if not started.is_python or not started.path:
        return None
    path = Path(started.path)
    if path.is_absolute():
        return path
    return folder / path if folder is not None else None
