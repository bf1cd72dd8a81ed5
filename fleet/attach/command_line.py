"""What a command line starts: a module, a script or a program, with the launchers before it taken away."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

_PYTHON = re.compile(r"(?:python|pypy)[\d.]*(?:-\w+)?|Python", re.ASCII)
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")

# Programs and modules that start the trainer of their arguments in other processes.
_LAUNCHERS = {
    "accelerate",
    "accelerate-launch",
    "accelerate.commands.launch",
    "deepspeed",
    "deepspeed.launcher.launch",
    "deepspeed.launcher.runner",
    "mlx.launch",
    "mpiexec",
    "mpirun",
    "torch.distributed.launch",
    "torch.distributed.run",
    "torchrun",
    "uv",
}


@dataclass(frozen=True)
class Started:
    """What a command line starts: `name` is a module with dots, or the last part of a path; `path` a script's path."""

    name: str
    path: str = ""
    arguments: tuple[str, ...] = field(default=(), repr=False)
    is_module: bool = False
    is_python: bool = False
    launcher: str = ""


def read_command(command: Sequence[str]) -> Started:
    """What is started; without a name for an empty command line, and for `python -c`. Not for `sh -c`."""
    if not command:
        return Started("")
    started = _read_program(command)
    return _behind_launcher(started) if started.name in _LAUNCHERS else started


def _read_program(command: Sequence[str]) -> Started:
    name = PurePath(command[0]).name.lstrip("-")
    if name in ("bash", "dash", "sh", "zsh"):
        # A shell that runs a script is that script.
        place = next((place for place, word in enumerate(command) if place and not word.startswith("-")), 0)
        return Started(PurePath(command[place]).name.lstrip("-"), command[place], tuple(command[place + 1 :]))
    if not _PYTHON.fullmatch(name):
        return Started(name, command[0], tuple(command[1:]))
    words = iter(enumerate(command[1:], start=1))
    for place, word in words:
        if word == "-m" and place + 1 < len(command):
            return Started(command[place + 1], "", tuple(command[place + 2 :]), is_module=True, is_python=True)
        if word == "-c":
            return Started("", "", (), is_python=True)
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-") or word == "-":
            return Started(PurePath(word).name, word, tuple(command[place + 1 :]), is_python=True)
    return Started("", is_python=True)


def _behind_launcher(started: Started) -> Started:
    """The first script or module among the launcher's arguments; the launcher itself where there is none."""
    words = started.arguments
    for place, word in enumerate(words):
        rest = words[place + 1 :]
        if word in ("-m", "--module", "--module=true") and rest:
            module = next((one for one in rest if not one.startswith("-")), "")
            if module:
                behind = rest[rest.index(module) + 1 :]
                return Started(module, "", behind, is_module=True, is_python=True, launcher=started.name)
        if word.endswith(".py"):
            return Started(PurePath(word).name, word, rest, is_python=True, launcher=started.name)
    return started


def read_options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names and values of options: `--output_dir X`, `--output-dir=X`, Hydra's `trainer.logger=X`; `-` becomes `_`."""
    for place, word in enumerate(arguments):
        name, sign, value = word.partition("=")
        if not re.match(r"(?:--?|\+{0,2})[A-Za-z_][\w.-]*$", name):
            continue
        name = name.lstrip("-+").replace("-", "_")
        if sign:
            yield name, value
        elif word.startswith("-"):
            values = []
            for following in arguments[place + 1 :]:
                if following.startswith("--"):
                    break
                values.append(following)
            # Lists such as `--report_to wandb tensorboard`.
            yield name, " ".join(values[:8]) if name == "report_to" else values[0] if values else ""
