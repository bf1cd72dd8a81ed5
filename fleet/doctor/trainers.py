"""Finds the running trainers of this user: Peerwatch's own, and those of rl-swarm by its module names."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from exporter.run_folder import PROCESS_FILE

# rl-swarm 0.4, 0.5.0 to 0.5.1, 0.5.2 to 0.6 and 0.7: what the command line of its trainer contains.
_RL_SWARM = (
    "hivemind_exp.gsm8k.train_single_gpu",
    "genrl_swarm/runner/swarm_launcher",
    "rgym_exp.runner.swarm_launcher",
    "code_gen_exp.runner.swarm_launcher",
)
_RL_SWARM_WITH_WANDB = _RL_SWARM[0]
# The environment may hold tokens: only these are kept.
_VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "WANDB_MODE", "IDENTITY_PATH", "ROOT")


@dataclass(frozen=True)
class RunningTrainer:
    """One trainer: its top-most process. `log_folder` is where it writes, `identity` its key file, where known."""

    pid: int
    title: str
    log_folder: Path | None = None
    identity: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    logs_to_wandb: bool = False


def find_trainers() -> list[RunningTrainer]:
    """Those that can be read, without a trainer's forked children, which have its command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.uids().real != os.getuid():
                continue
            command = process.cmdline()
            parent = process.parent()
            if not _kind(command) or (parent is not None and _kind(parent.cmdline())):
                continue
            found.append(_read(process, command))
        except (psutil.Error, OSError):
            continue
    return sorted(found, key=lambda one: one.pid)


def _kind(command: Sequence[str]) -> str:
    """Which trainer a command line starts: `peerwatch`, a module of rl-swarm, or nothing."""
    # A shell or an editor with the module's name in a long argument does not count.
    for argument in command[1:]:
        for module in _RL_SWARM:
            if argument == module or (module in argument and argument.endswith(".py")):
                return module
    words = list(command)
    if "-m" in words and words[words.index("-m") + 1 : words.index("-m") + 3] == ["trainer", "--config"]:
        return "peerwatch"
    return ""


def _read(process: psutil.Process, command: Sequence[str]) -> RunningTrainer:
    kind = _kind(command)
    everything = process.environ()
    environment = {name: everything[name] for name in _VARIABLES if name in everything}
    cwd = Path(process.cwd())
    if kind == "peerwatch":
        run_folder = (cwd / _after(command, "--config", "trainer.yaml")).parent
        title = f"peer {run_folder.name}" if (run_folder / PROCESS_FILE).exists() else "trainer"
        return RunningTrainer(process.pid, title, run_folder, run_folder / "identity.pem", environment)
    # From 0.5 on the identity is in the environment; p2pd's command line has it in every version.
    named = environment.get("IDENTITY_PATH") or _after(command, "--identity_path", "") or _of_p2pd(process)
    logs = Path(environment["ROOT"]) if "ROOT" in environment and kind != _RL_SWARM_WITH_WANDB else cwd
    return RunningTrainer(
        process.pid,
        f"rl-swarm trainer in {cwd}",
        cwd / logs / "logs",
        cwd / named if named else None,
        environment,
        logs_to_wandb=kind == _RL_SWARM_WITH_WANDB,
    )


def _after(command: Sequence[str], option: str, default: str) -> str:
    words = list(command)
    if option in words[:-1]:
        return words[words.index(option) + 1]
    return next((word.partition("=")[2] for word in words if word.startswith(f"{option}=")), default)


def _of_p2pd(process: psutil.Process) -> str:
    for child in process.children(recursive=True):
        command = child.cmdline()
        if command and Path(command[0]).name == "p2pd":
            return _after(command, "-id", "") or _after(command, "--id", "")
    return ""
