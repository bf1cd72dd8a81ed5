"""The results of `plan --measure` on this machine, which later plans use instead of predictions."""

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import platformdirs

from exporter.run_folder import read_bounded, write_atomically
from exporter.system.machine import read_cores
from fleet.plan.shapes import Shape
from fleet.plan.workload import Workload

_LONGEST_BYTES = 2**20
_KEPT = 50


def file() -> Path:
    """Beside the fleets' state folders, as it is about the machine."""
    return Path(platformdirs.user_state_dir("peerwatch")) / "measured.json"


def read(shape: Shape, work: Workload) -> tuple[float, dict[int, float]] | None:
    """(peak bytes of one peer, steps per second by number of peers) of this very model and settings, if measured."""
    record = _records().get(_key(shape, work), {})
    try:
        peak, pace = float(record["peak_bytes"]), {int(n): float(v) for n, v in record["steps_per_second"].items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return (peak, pace) if peak > 0 and all(value > 0 for value in pace.values()) else None


def write(shape: Shape, work: Workload, *, peak_bytes: float, pace: Mapping[int, float]) -> None:
    """Keeps a measurement, the latest first. Raises OSError."""
    record = {
        "model": shape.name,
        "peak_bytes": peak_bytes,
        "steps_per_second": {str(count): value for count, value in pace.items()},
        "at": time.time(),
        "cores": read_cores().count,
    }
    records = {_key(shape, work): record, **{k: v for k, v in _records().items() if k != _key(shape, work)}}
    path = file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(path, json.dumps(dict(list(records.items())[:_KEPT]), indent=1).encode(), mode=0o600)


def _records() -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(read_bounded(file(), _LONGEST_BYTES))
        if isinstance(found, dict):
            return found
    return {}


def _key(shape: Shape, work: Workload) -> str:
    """Another machine's cores, another model or another setting is another measurement."""
    sizes = {name: value for name, value in asdict(shape).items() if name not in ("name", "origin")}
    text = json.dumps([sizes, asdict(work), read_cores().count], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
