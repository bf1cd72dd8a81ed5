"""The recorded runs of `recorded/`, made by `record.py`: real steps, and what the processes really did.

No constant of the detector was chosen on this family.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.bench.stalls.traces import RecordedHang, Trace
from tests.bench.stalls.workload import AT_REST, COLLECTION_SECONDS, Activity, Hang, Workload, list_uses

FOLDER = Path(__file__).parent / "recorded"
# A hang that used less was at rest.
REST_CORES = 0.02
STOPPED = f"{AT_REST}, stopped by a signal"
# Nobody knows what these would have done on an accelerator.
WORKLOAD = Workload("recorded", 0.0, 0.0, 0.0, 2.0, None)


def read_recorded() -> Iterator[Trace]:
    """Each recorded run, with its hang if it hung."""
    for path in sorted(FOLDER.glob("*.txt")):
        yield _read(path)


def _read(path: Path) -> Trace:
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    hang = next((float(line[1]) for line in lines if line[0] == "hang"), None)
    uses = np.array([line[1:] for line in lines if line[0] == "use"], dtype=float)
    parts = np.array([line for line in lines if line[0] not in ("hang", "use")], dtype=float)
    at, _, cores, moved, waits, busy, stopped = uses.T
    healthy = at <= float(np.sum(parts))
    columns = at, cores, 1e3 * moved, busy, np.zeros(len(at)), waits, stopped
    activity = Activity(*(column[healthy] for column in columns))
    later = Activity(*(column[~healthy] for column in columns))
    ended = None if hang is None else RecordedHang(hang, later)
    nothing = np.zeros(len(parts), dtype=bool)
    steps = parts[:, 0] + parts[:, 1]
    return Trace(path.stem, steps, parts[:, 0], parts[:, 2], parts[:, 3], nothing, WORKLOAD, activity, ended)


def read_hangs() -> list[Hang]:
    """What the recorded runs that hung showed while they hung; the collection that a hang begins in is left out."""
    found = []
    for trace in read_recorded():
        if trace.hang is not None:
            uses = list_uses(trace.hang.activity, trace.workload)
            begins = trace.hang.activity.ends - COLLECTION_SECONDS
            hung = tuple(use for use, begin in zip(uses, begins.tolist(), strict=True) if begin >= trace.hang.at)
            is_at_rest = max(use.cores for use in hung) < REST_CORES
            at_rest = STOPPED if any(use.is_stopped for use in hung) else AT_REST
            found.append(Hang(at_rest if is_at_rest else trace.kind, hung))
    return found
