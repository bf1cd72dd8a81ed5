"""Who an rl-swarm is that runs here: its identity, contract and checkout, as its processes tell."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fleet.attach.command_line import read_command, read_options
from fleet.attach.facts import ProcessFacts

# 0.4; 0.5.2 to 0.5.8, which has one for hydra's lines too; 0.6 and later.
_LOGS = ("swarm.log", "training_*.log", "swarm_launcher.log")
_LOG = re.compile(r"swarm\.log|training_.+\.log|swarm_launcher\.log")
_LAUNCHER = re.compile(r"(?:\w+\.)*swarm_launcher(?:\.py)?")
_TRAINER = re.compile(rf"{_LAUNCHER.pattern}|hivemind_exp\..*train_single_gpu")
_CONTRACT = re.compile(r"0x[0-9A-Fa-f]{40}")


class SwarmFacts(NamedTuple):
    """None where nothing tells; `is_of_rounds`: its log has no line for a step. `logs`: the likeliest first."""

    identity: Path | None
    contract: str | None
    checkout: Path | None
    is_of_rounds: bool
    logs: tuple[Path, ...]


def find_swarm(members: Sequence[ProcessFacts]) -> SwarmFacts:
    """`members` are the processes of one trainer, the top-most first."""
    trainers = [one for one in members if _TRAINER.fullmatch(read_command(one.command).name)]
    contracts = [option for one in trainers for option in _values(one, "contract_address", "SWARM_CONTRACT")]
    return SwarmFacts(
        _find_identity(members, trainers),
        next((one for one in contracts if _CONTRACT.fullmatch(one)), None),
        next((one.folder for one in trainers if one.folder is not None), None),
        any(_LAUNCHER.fullmatch(read_command(one.command).name) for one in trainers),
        tuple(_list_logs(trainers)),
    )


def _find_identity(members: Sequence[ProcessFacts], trainers: Sequence[ProcessFacts]) -> Path | None:
    """The daemon's command line names it in every release; before it runs, the variable or the option does."""
    for one in members:
        if one.command and Path(one.command[0]).name == "p2pd" and one.folder is not None:
            for name, value in read_options(one.command[1:]):
                if name == "id" and value:
                    return one.folder / value
    named = [(one, value) for one in trainers for value in _values(one, "identity_path", "IDENTITY_PATH")]
    return next((one.folder / value for one, value in named if one.folder is not None), None)


def _values(process: ProcessFacts, option: str, variable: str) -> list[str]:
    given = dict(read_options(read_command(process.command).arguments)).get(option)
    return [value for value in (given, process.environment.get(variable)) if value]


def _list_logs(trainers: Sequence[ProcessFacts]) -> list[Path]:
    opened = [path for one in trainers for path in one.files if _LOG.fullmatch(path.name)]
    # Of 0.5, that of the peer's name has the rounds.
    opened.sort(key=lambda path: path.name == "swarm_launcher.log")
    roots = [one.folder / one.environment.get("ROOT", "") for one in trainers if one.folder is not None]
    return [*opened, *(root / "logs" / name for root in roots for name in _LOGS if "*" not in name)]
