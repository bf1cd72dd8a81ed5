"""The trainers of this machine as candidates to be watched: each by its top-most process, with all that is below it."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.attached_process import Criteria
from fleet.attach.command_line import Started, read_command, read_options
from fleet.attach.facts import ProcessFacts, ProcessTree
from fleet.attach.kinds import PEERWATCH, RL_SWARM, UNKNOWN, VLLM, ReadText, find_kind
from fleet.attach.rl_swarm import SwarmFacts, find_swarm
from fleet.attach.sources import ListWritten, ReaderChoice, find_sources

# What a run is told by besides its script; none of it is a secret.
_DISTINGUISHING = (
    *("adapter_path", "config", "config_name", "config_path", "identity_path", "output_dir"),
    *("trainer.default_local_dir", "trainer.experiment_name"),
)
_SUBCOMMAND = re.compile(r"[a-z][a-z_-]{1,20}")
_SETTINGS_FILE = re.compile(r"\.(?:ya?ml|toml)$")
_PLAIN_WORD = re.compile(r"[\w./@:+-]{1,200}")


@dataclass(frozen=True)
class Candidate:
    """One trainer. `criteria` find it again after its owner restarted it; None where nothing would.

    `is_watched` says that Peerwatch runs it already, `is_activity_only` that it serves others and has no steps.
    `notes` are sentences for its owner, `swarm` is there for an rl-swarm. Nothing here holds a secret of its command
    line or environment.
    """

    kind: str
    title: str
    pid: int
    pids: tuple[int, ...]
    user: str
    folder: Path | None
    criteria: Criteria | None
    readers: tuple[ReaderChoice, ...]
    notes: tuple[str, ...]
    is_watched: bool = False
    is_activity_only: bool = False
    swarm: SwarmFacts | None = None


def find_candidates(
    processes: Sequence[ProcessFacts], read_text: ReadText, list_written: ListWritten, *, named: int | None = None
) -> list[Candidate]:
    """By pid. Those of other users are there as far as they can be read.

    `named` is a process that its user calls a trainer, whatever it looks like.
    """
    tree = ProcessTree(list(processes))
    found = ((one.pid, find_kind(one, read_text, is_named=one.pid == named)) for one in tree.all)
    kinds = {pid: kind for pid, kind in found if kind is not None}
    tops = [one for one in tree.all if one.pid in kinds and not _belongs(one, kinds, tree)]
    candidates = [_describe(one, tops, kinds, tree, read_text, list_written) for one in tops]
    alike = Counter(one.criteria for one in candidates if one.criteria is not None)
    shared = Counter((reader.name, str(reader.options)) for one in candidates for reader in one.readers)
    return sorted((_warn(one, alike, shared) for one in candidates), key=lambda one: one.pid)


def _belongs(process: ProcessFacts, kinds: Mapping[int, str], tree: ProcessTree) -> bool:
    """Whether it is part of a trainer above it. What merely uses PyTorch, such as a notebook, may start trainers."""
    of_above = {kinds[above.pid] for above in tree.above(process) if above.pid in kinds}
    return bool(of_above if kinds[process.pid] == UNKNOWN else of_above - {UNKNOWN})


def _describe(
    top: ProcessFacts,
    tops: Sequence[ProcessFacts],
    kinds: Mapping[int, str],
    tree: ProcessTree,
    read_text: ReadText,
    list_written: ListWritten,
) -> Candidate:
    others = {pid for other in tops if other is not top for pid in (other.pid, *(one.pid for one in tree.below(other)))}
    below = [one for one in tree.below(top) if one.pid not in others or top.pid in others]
    kind = _most_special([kinds[one.pid] for one in (top, *below) if one.pid in kinds])
    members = [top, *below]
    sources = find_sources(kind, members, tree, read_text, list_written)
    swarm = find_swarm(members) if kind == RL_SWARM else None
    criteria = _criteria_of(top)
    notes = list(sources.notes)
    is_watched = kind == PEERWATCH or top.is_of_fleet
    if is_watched:
        notes = ["it is watched already"]
    elif top.folder is None:
        notes.append(f"it runs as {top.user}: only that user, or root, can read where it writes")
    elif kind == RL_SWARM and not any(kinds.get(one.pid) for one in below) and _is_script(top):
        notes.append("its trainer does not run yet")
    elif swarm is not None and swarm.is_of_rounds:
        notes.append("its log tells rounds and no steps: its pace is that of rounds")
    if criteria is None and not is_watched:
        notes.append("nothing in its command line tells it: name a pid_file or a unit")
    return Candidate(
        kind,
        _title(kind, top),
        top.pid,
        tuple(one.pid for one in members),
        top.user,
        top.folder,
        criteria,
        () if is_watched else tuple(sources.readers),
        tuple(notes),
        is_watched=is_watched,
        is_activity_only=kind == VLLM,
        swarm=swarm,
    )


def _most_special(kinds: Sequence[str]) -> str:
    """The first that says more than that a process uses PyTorch; a trainer may start an inference server."""
    return next((kind for kind in kinds if kind not in (UNKNOWN, VLLM)), kinds[0])


def _is_script(top: ProcessFacts) -> bool:
    return not read_command(top.command).is_python


def _title(kind: str, top: ProcessFacts) -> str:
    started = read_command(top.command)
    name = _shown_name(started)
    where = f" in {top.folder}" if top.folder is not None else ""
    return f"{'trainer of an unknown kind' if kind == UNKNOWN else kind}: {name or 'python -c'}{where}"


def _shown_name(started: Started) -> str:
    """The script, module or program. Arguments may hold secrets."""
    name = started.name
    return name if _PLAIN_WORD.fullmatch(name) else ""


def _criteria_of(top: ProcessFacts) -> Criteria | None:
    """A unit tells a process best; else its folder and what it starts, without arguments that may hold secrets."""
    command = make_pattern(top.command)
    if top.unit is not None and _PLAIN_WORD.fullmatch(top.unit):
        return Criteria(command=command, unit=top.unit)
    if command is None or top.folder is None:
        return None
    return Criteria(folder=top.folder, command=command)


def make_pattern(command: Sequence[str]) -> str | None:
    """A regular expression for the command line of the next start: what it starts, and the options that name a run."""
    started = read_command(command)
    name = started.name if started.is_module else Path(started.path or started.name).name
    if not started.name or not _PLAIN_WORD.fullmatch(name):
        return None
    words = [name]
    if started.arguments and not name.endswith((".py", ".sh")) and _SUBCOMMAND.fullmatch(started.arguments[0]):
        words.append(started.arguments[0])
    words += [value for option, value in read_options(started.arguments) if option in _DISTINGUISHING]
    words += [word for word in started.arguments if _SETTINGS_FILE.search(word) and word not in words]
    known = (rf"(?:^|[ /=@]){re.escape(word)}(?: |$)" for word in words if _PLAIN_WORD.fullmatch(word))
    # Their order does not count.
    return "^" + "".join(f"(?=.*{word})" for word in known)


def _warn(candidate: Candidate, alike: "Counter[Criteria]", shared: "Counter[tuple[str, str]]") -> Candidate:
    notes = list(candidate.notes)
    if candidate.criteria is not None and alike[candidate.criteria] > 1 and not candidate.is_watched:
        notes.append("another trainer has the same folder and command: name a pid_file or a unit to tell them apart")
    for reader in candidate.readers:
        if shared[reader.name, str(reader.options)] > 1:
            notes.append(f"another trainer writes to the same place, which {reader.name} would read: name the file")
    return replace(candidate, notes=tuple(notes))
