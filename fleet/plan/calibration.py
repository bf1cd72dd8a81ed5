"""What `plan --measure` found on this machine, kept so that later plans say measured instead of predicted."""

import contextlib
import hashlib
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import platformdirs

from exporter.run_folder import read_bounded, write_atomically
from fleet.plan.shapes import Shape
from fleet.plan.workload import Workload

_LONGEST_BYTES = 2**20
_KEPT = 50


def file() -> Path:
    """Beside the fleets' state folders, as it is about the machine."""
    return Path(platformdirs.user_state_dir("peerwatch")) / "measured.json"


def read(shape: Shape, work: Workload) -> dict[str, Any] | None:
    """The record of this very model and settings: `peak_bytes`, `steps_per_second` by number of peers, `at`."""
    record = _records().get(_key(shape, work))
    return record if isinstance(record, dict) else None


def measured_bytes(shape: Shape, work: Workload) -> float | None:
    """The peak footprint of one peer; None where it was not measured here."""
    found = (read(shape, work) or {}).get("peak_bytes")
    return float(found) if isinstance(found, int | float) and found > 0 else None


def measured_peers(shape: Shape, work: Workload) -> int | None:
    """How many peers the measured pace argues for; None where it was not measured here."""
    found = (read(shape, work) or {}).get("peers")
    return found if isinstance(found, int) and found > 0 else None


def write(shape: Shape, work: Workload, *, peak_bytes: float, steps_per_second: dict[int, float], peers: int) -> None:
    """Keeps a measurement, the latest ones first. Raises OSError."""
    record = {
        "model": shape.name,
        "peak_bytes": peak_bytes,
        "steps_per_second": {str(count): pace for count, pace in steps_per_second.items()},
        "peers": peers,
        "at": time.time(),
        "cores": os.cpu_count(),
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
    text = json.dumps([sizes, asdict(work), os.cpu_count()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
