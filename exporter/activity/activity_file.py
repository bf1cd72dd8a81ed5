"""The file in a run folder that carries what is usual for a trainer over a restart of its sidecar: `activity.json`."""

import json
import math
from collections.abc import Mapping
from typing import Any

from exporter.activity.phase import RUNS, WINDOW, Learnt
from exporter.progress.model import STEPPING

ACTIVITY_FILE = "activity.json"
# Ten times what is written: two phases of 4,096 numbers.
MAX_BYTES = 1 << 19
MOST = Learnt((WINDOW,), (WINDOW,), (RUNS,), (RUNS,), (RUNS,), (WINDOW,), (WINDOW,))
LARGEST = 1e7


def render(process: Mapping[str, Any], memory: Mapping[str, Learnt]) -> bytes:
    """The content of the file; `process` is the record of the process that it was learnt of."""
    phases = {
        name: {field: [float(f"{number:.3g}") for number in numbers] for field, numbers in learnt._asdict().items()}
        for name, learnt in memory.items()
    }
    return json.dumps({"process": dict(process), "phases": phases}, separators=(",", ":")).encode()


def parse(content: bytes, process: Mapping[str, Any]) -> tuple[dict[str, Learnt], bool]:
    """What the file holds, and whether it was learnt of this process.

    Raises ValueError where it is damaged: another user may have changed it.
    """
    try:
        record = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(record, dict) or not isinstance(record.get("phases"), dict):
        raise ValueError("not an activity")
    found = {}
    for name, learnt in record["phases"].items():
        if name not in STEPPING or not isinstance(learnt, dict):
            raise ValueError("not the activity of a phase")
        fields = zip(Learnt._fields, MOST, strict=True)
        found[name] = Learnt(*(_read(learnt.get(field, []), most[0]) for field, most in fields))
    return found, record.get("process") == dict(process)


def _read(numbers: object, most: float) -> list[float]:
    if not isinstance(numbers, list) or len(numbers) > most:
        raise ValueError("not a list of numbers")
    for number in numbers:
        if type(number) not in (int, float) or not math.isfinite(number) or not 0 <= number <= LARGEST:
            raise ValueError("not a list of numbers")
    return [float(number) for number in numbers]
