"""How a trainer that does not report by itself is found and read: in a file, as arguments are public."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
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


@dataclass(frozen=True)
class SwarmIdentity:
    """Who the trainer is in its swarm, as far as it was known when the file was written; None is unknown.

    `version` is the release of rl-swarm, such as 0.6.4. `identity_path` is the key file, which tells the peer id too.
    `contract` is where its rewards count, by name or address.
    """

    version: str | None = None
    peer_id: str | None = None
    name: str | None = None
    identity_path: str | None = None
    contract: str | None = None


class Watch(NamedTuple):
    """`find` says how the trainer is found, None where the run folder records it; `readers` read its progress.

    `pace` are arguments of `Pace`, in seconds. `swarm` is None for a trainer that is in no swarm.
    """

    find: Criteria | None
    readers: Mapping[str, Reader]
    pace: Mapping[str, float]
    swarm: SwarmIdentity | None = None


def read_watch(path: Path) -> Watch:
    """Raises OSError, or ValueError with one line."""
    try:
        content = json.loads(read_bounded(path, MAX_BYTES))
        folder = Path(content["folder"])
        find = _read_criteria(content.get("find", {}))
        pace = {str(name): float(value) for name, value in content.get("pace", {}).items()}
        Pace(**pace)
        swarm = _read_swarm(content.get("swarm"))
        listed = [(str(name), options) for one in content.get("progress", []) for name, options in one.items()]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not what a fleet writes: {error}") from None
    if len(listed) > MAX_READERS:
        raise ValueError(f"{path}: {len(listed)} readers; at most {MAX_READERS}")
    readers: dict[str, Reader] = {}
    for name, options in listed:
        readers[name_reader(name, readers)] = make_reader(name, options, folder)
    return Watch(find, readers, pace, swarm)


def _read_swarm(given: Mapping[str, Any] | None) -> SwarmIdentity | None:
    if not given:
        return None
    known = {field.name: given.get(field.name) for field in fields(SwarmIdentity)}
    if not all(value is None or isinstance(value, str) for value in known.values()):
        raise ValueError("swarm: holds what is not a text")
    return SwarmIdentity(**known)


def _read_criteria(given: Mapping[str, Any]) -> Criteria | None:
    paths = {name: Path(given[name]) for name in ("folder", "pid_file") if name in given}
    fields: dict[str, Any] = {**given, **paths}
    return Criteria(**fields) if fields else None


def name_reader(name: str, taken: Mapping[str, Any]) -> str:
    """The label of a reader: its name, and a number from the second of its kind on."""
    same = sum(one.partition("-")[0] == name for one in taken)
    return f"{name}-{same + 1}" if same else name
