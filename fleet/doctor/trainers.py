"""Finds the running trainers of this user that swarms know: Peerwatch's own, and those of rl-swarm."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from exporter.run_folder import PROCESS_FILE
from fleet.attach.command_line import read_command
from fleet.attach.facts import ProcessFacts
from fleet.attach.kinds import PEERWATCH, RL_SWARM, find_kind

# Its trainer logs to wandb by itself: that of rl-swarm 0.4.
_WITH_WANDB = "hivemind_exp."
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


def _kind(command: Sequence[str]) -> str | None:
    """`peerwatch`, `rl-swarm` or None. What a script imports, and the shell that starts it, do not count."""
    if not read_command(command).is_python:
        return None
    kind = find_kind(ProcessFacts(0, 0, "", tuple(command)), lambda _: "")
    return kind if kind in (PEERWATCH, RL_SWARM) else None


def _read(process: psutil.Process, command: Sequence[str]) -> RunningTrainer:
    kind = _kind(command)
    everything = process.environ()
    environment = {name: everything[name] for name in _VARIABLES if name in everything}
    cwd = Path(process.cwd())
    if kind == PEERWATCH:
        run_folder = (cwd / _after(command, "--config", "trainer.yaml")).parent
        title = f"peer {run_folder.name}" if (run_folder / PROCESS_FILE).exists() else "trainer"
        return RunningTrainer(process.pid, title, run_folder, run_folder / "identity.pem", environment)
    # From 0.5 on the identity is in the environment; p2pd's command line has it in every version.
    named = environment.get("IDENTITY_PATH") or _after(command, "--identity_path", "") or _of_p2pd(process)
    is_with_wandb = read_command(command).name.startswith(_WITH_WANDB)
    logs = Path(environment["ROOT"]) if "ROOT" in environment and not is_with_wandb else cwd
    return RunningTrainer(
        process.pid,
        f"rl-swarm trainer in {cwd}",
        cwd / logs / "logs",
        cwd / named if named else None,
        environment,
        logs_to_wandb=is_with_wandb,
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
