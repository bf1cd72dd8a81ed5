"""Loads `peerwatch.yaml`: its data, the configuration of every process, and every error."""

import copy
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.files.yaml_text import read_file
from exporter.system.machine import read_cores
from fleet.configuration.compose import Composition, compose
from fleet.configuration.model import FleetConfig
from fleet.configuration.peers import PeerPlan, our_trainers, plan_peers
from fleet.configuration.validate import validate
from fleet.configuration.yaml_lines import Document, Location, Problem, parse
from fleet.state_folder import StateFolder

DEFAULT_FILE = Path("peerwatch.yaml")
# Below these keys a text may begin with ~ and be no path of ours.
_NO_PATHS = frozenset({"arguments", "command", "environment", "find", "password", "task_options"})


@dataclass
class Loaded:
    """A loaded file. `config` holds its valid part; None if it has none."""

    source: str
    base: Path
    document: Document
    problems: list[Problem]
    folder: StateFolder
    config: FleetConfig | None = None
    peers: tuple[PeerPlan, ...] = ()
    composition: Composition = field(default_factory=Composition)
    # The executable, if Prometheus is to run beside the fleet.
    prometheus: Path | None = None

    @property
    def is_usable(self) -> bool:
        return self.config is not None and all(problem.is_warning for problem in self.problems)

    @property
    def ours(self) -> tuple[PeerPlan, ...]:
        """The peers whose trainers are Peerwatch's own."""
        return our_trainers(self.peers)

    def add(self, problems: Iterable[Problem]) -> None:
        """Adds those whose location has no problem yet: an invalid value's default causes no second one."""
        known = {problem.location for problem in self.problems}
        self.problems += [problem for problem in problems if problem.location not in known]

    def lines(self) -> list[str]:
        """`FILE:LINE: path: message` for each problem, in the order of the file."""
        described = []
        for problem in self.problems:
            line = self.document.line_of(problem)
            parts = [f"{self.source}:{line}"]
            if problem.is_warning:
                parts.append("warning")
            if problem.location:
                parts.append(dotted(problem.location))
            described.append((line, ": ".join([*parts, problem.message])))
        return [text for _, text in sorted(dict.fromkeys(described), key=lambda one: one[0])]


def dotted(location: tuple[str | int, ...]) -> str:
    """`peers[1].grpo.beta`; an unprintable key is quoted."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if part.isprintable() and part else repr(part)
            text += f".{shown}" if text else shown
    return text


def load_file(path: Path, state_folder: Path | None = None) -> Loaded:
    """Raises OSError where the file cannot be read."""
    return load_text(read_file(path), str(path), path.absolute().parent, state_folder)


def load_text(text: bytes | str, source: str, base: Path, state_folder: Path | None = None) -> Loaded:
    """`state_folder` overrides the file's `state_dir`."""
    document = parse(text)
    loaded = Loaded(source, base, document, list(document.problems), StateFolder(base))
    if any(not problem.location for problem in document.problems):
        return loaded
    data, homeless = document.data, list(_without_home(document.data, ()))
    if homeless:
        loaded.add(homeless)
        data = _without(data, [problem.location for problem in homeless])
    result = validate(FleetConfig, data)
    if not isinstance(result, FleetConfig):
        loaded.add(Problem(mistake.location, mistake.message) for mistake in result)
        # The valid rest is checked too, so that one run reports every error.
        result = validate(FleetConfig, _without(data, [mistake.location for mistake in result]))
        if not isinstance(result, FleetConfig):
            return loaded
    loaded.config = result
    loaded.folder = _state_folder(result, base, state_folder)
    loaded.peers = plan_peers(result, read_cores().count)
    loaded.composition = compose(result, loaded.peers, loaded.folder, base)
    loaded.add(loaded.composition.problems)
    return loaded


def _without(data: dict[str, Any], locations: list[Location]) -> dict[str, Any]:
    """The data without the keys at these locations; for a list entry, without the list's key."""
    rest = copy.deepcopy(data)
    rest.setdefault("fleet", "unnamed")
    for location in locations:
        place: Any = rest
        for depth, part in enumerate(location):
            following = location[depth + 1 :]
            if not isinstance(place, dict) or part not in place:
                place = place[part] if isinstance(place, list) and isinstance(part, int) and part < len(place) else None
            elif not following or (len(following) == 1 and isinstance(following[0], int)):
                del place[part]
                break
            else:
                place = place[part]
    if rest.get("fleet") is None or "fleet" not in rest:
        rest["fleet"] = "unnamed"
    return rest


def _without_home(data: Any, location: Location) -> Iterator[Problem]:
    """Paths below the home folder of a user whom this machine does not know, or that has none."""
    if isinstance(data, str):
        path = data.removeprefix("file:")
        if path.startswith("~") and os.path.expanduser(path) == path and not _NO_PATHS.intersection(location):
            yield Problem(location, f"this machine knows no home folder {path.partition('/')[0]}; write the whole path")
    elif isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _without_home(value, (*location, key))


def _state_folder(config: FleetConfig, base: Path, override: Path | None) -> StateFolder:
    if override is not None:
        return StateFolder(Path(os.path.expanduser(override)).absolute())
    if config.state_dir is not None:
        return StateFolder((base / config.state_dir.expanduser()).absolute())
    return StateFolder.of(config.fleet)
