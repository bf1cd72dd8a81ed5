"""The file in a run folder that carries a trainer's pace over a restart: `pace.json`.

It holds what was learnt of each phase, and a mark of what the pace depends on: model, hardware and settings. A process
whose mark differs by anything starts from nothing.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from exporter.pace import MEDIAN_STEPS, TAIL_STEPS, PhaseMemory
from exporter.progress.model import STEPPING

PACE_FILE = "pace.json"
# Ten times what is written: two phases of 4,064 numbers.
MAX_BYTES = 1 << 20
LONGEST_SECONDS = 1e7
LARGEST_MULTIPLE = 1e6

# Arguments that name this run, this start or its end; everything else may change what a step takes.
UNRELATED = frozenset(
    {
        "data_seed",
        "hub_model_id",
        "hub_token",
        "local_rank",
        "logging_dir",
        "max_steps",
        "num_train_epochs",
        "output_dir",
        "overwrite_output_dir",
        "report_to",
        "resume_from_checkpoint",
        "run_name",
        "seed",
    }
)


def mark(model: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """What two processes must have in common for the one to go on with the other's pace; arguments by name."""
    related = {name: value for name, value in arguments.items() if name not in UNRELATED}
    text = json.dumps([dict(model), related], sort_keys=True, default=lambda value: type(value).__name__)
    return hashlib.sha256(text.encode()).hexdigest()


def render(made_for: str, memory: Mapping[str, PhaseMemory]) -> bytes:
    """The content of the file."""
    phases = {
        name: {"recent": _shorten(learnt.recent), "tail": _shorten(learnt.tail)} for name, learnt in memory.items()
    }
    return json.dumps({"mark": made_for, "phases": phases}, separators=(",", ":")).encode()


def parse(content: bytes, expected: str) -> dict[str, PhaseMemory]:
    """What the file holds for a trainer with this mark; nothing for another one.

    Raises ValueError where it is damaged: another user may have changed it.
    """
    try:
        record = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(record, dict) or not isinstance(record.get("phases"), dict):
        raise ValueError("not a pace")
    if record.get("mark") != expected:
        return {}
    found = {}
    for name, learnt in record["phases"].items():
        if name not in STEPPING or not isinstance(learnt, dict):
            raise ValueError("not the pace of a phase")
        recent = _read(learnt.get("recent"), MEDIAN_STEPS, LONGEST_SECONDS)
        tail = _read(learnt.get("tail"), TAIL_STEPS, LARGEST_MULTIPLE)
        found[name] = PhaseMemory(recent, tail)
    return found


def _shorten(numbers: Any) -> list[float]:
    return [float(f"{number:.4g}") for number in numbers]


def _read(numbers: object, most: int, largest: float) -> list[float]:
    if not isinstance(numbers, list) or not 0 < len(numbers) <= most:
        raise ValueError("not a list of numbers")
    for number in numbers:
        if type(number) not in (int, float) or not math.isfinite(number) or not 0 <= number <= largest:
            raise ValueError("not a list of numbers")
    return [float(number) for number in numbers]
