"""How a trainer that does not report by itself is found and read: in a file, as arguments are public."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from exporter.attached_process import Criteria
from exporter.pace import Pace
from exporter.progress.readers import make_reader
from exporter.progress.record import Reader
from exporter.run_folder import read_bounded

WATCH_FILE = "watch.json"
MAX_BYTES = 1 << 16
MAX_READERS = 8


class Watch(NamedTuple):
    """`find` says how the trainer is found, None where the run folder records it; `readers` read its progress.

    `pace` are arguments of `Pace`, in seconds.
    """

    find: Criteria | None
    readers: Mapping[str, Reader]
    pace: Mapping[str, float]


def read_watch(path: Path) -> Watch:
    """Raises OSError, or ValueError with one line."""
    try:
        content = json.loads(read_bounded(path, MAX_BYTES))
        folder = Path(content["folder"])
        find = _read_criteria(content.get("find", {}))
        pace = {str(name): float(value) for name, value in content.get("pace", {}).items()}
        Pace(**pace)
        listed = [(str(name), options) for one in content.get("progress", []) for name, options in one.items()]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not what a fleet writes: {error}") from None
    if len(listed) > MAX_READERS:
        raise ValueError(f"{path}: {len(listed)} readers; at most {MAX_READERS}")
    readers: dict[str, Reader] = {}
    for name, options in listed:
        readers[name_reader(name, readers)] = make_reader(name, options, folder)
    return Watch(find, readers, pace)


def _read_criteria(given: Mapping[str, Any]) -> Criteria | None:
    paths = {name: Path(given[name]) for name in ("folder", "pid_file") if name in given}
    fields: dict[str, Any] = {**given, **paths}
    return Criteria(**fields) if fields else None


def name_reader(name: str, taken: Mapping[str, Any]) -> str:
    """The label of a reader: its name, and a number from the second of its kind on."""
    same = sum(one.partition("-")[0] == name for one in taken)
    return f"{name}-{same + 1}" if same else name
