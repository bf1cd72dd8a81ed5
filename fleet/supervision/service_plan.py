"""Plans the steps to install, change, start, stop and remove a fleet's services; pure but for reading files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fleet.managers import File, Manager
from fleet.processes.files import RunError
from fleet.processes.state import ProcessState
from fleet.state_folder import StateFolder
from fleet.supervision.installed import Installed, digest
from fleet.supervision.steps import Record, Remove, Run, Settle, Step, Write


@dataclass(frozen=True)
class Machine:
    """The present state: files by path (None if absent), and the programs that the manager knows, by title."""

    texts: Mapping[Path, str | None]
    states: Mapping[str, ProcessState]


def read_texts(paths: Iterable[Path]) -> dict[Path, str | None]:
    return {path: _read(path) for path in paths}


def edited(files: Sequence[File], installed: Installed | None, machine: Machine, folder: StateFolder) -> list[str]:
    """A line for each file outside the state folder that no install has written, or that was changed since."""
    wanted = {file.path: file.text for file in files}
    written = installed.files if installed else {}
    found = []
    for path in dict.fromkeys([*wanted, *map(Path, written)]):
        text = machine.texts.get(path)
        if text is None or text == wanted.get(path) or path.is_relative_to(folder.root):
            continue
        if str(path) not in written:
            found.append(f"{path} exists and does not belong to this fleet; --force overwrites it")
        elif digest(text) != written[str(path)]:
            found.append(
                f"{path} was changed manually; move your change to a separate file (a drop-in), "
                "or overwrite it with --force"
            )
    return found


def install(
    manager: Manager, target: Installed, files: Sequence[File], before: Installed | None, machine: Machine
) -> list[Step]:
    """The steps to `target`: only what is new, has changed or has failed is touched."""
    titles = list(target.titles)
    gone = [title for title in (before.titles if before else ()) if title not in titles]
    changed = _changed(target, files, before, machine)
    stale = [title for title in titles if title in changed or _has_failed(title, machine)]
    states = machine.states
    start = [
        title for title in titles if title in stale or title not in states or not _runs_or_has_finished(states[title])
    ]
    writes = [Write(file) for file in files if machine.texts.get(file.path) != file.text]
    removes = [Remove(path) for path in map(Path, before.files if before else {}) if str(path) not in target.files]
    known = [title for title in [*gone, *stale] if title in states]
    steps: list[Step] = []
    if known:
        others = [title for title in states if title not in known]
        steps += [*map(Run, manager.stop(known, others)), Settle(tuple(known))]
    if writes or removes or gone or before != target:
        steps += [*removes, *writes, Record(replace(target, pending=tuple(start)))]
    if writes or removes:
        steps += map(Run, manager.reload())
    if before is None or writes or removes:
        steps += map(Run, manager.enable())
    if start:
        others = [title for title in states if title not in start and title not in gone]
        idle = tuple(title for title in start if title not in known)
        steps += [*([Settle(idle)] if idle else []), *map(Run, manager.start(start, others))]
    if steps:
        steps.append(Record(target))
    return steps


def uninstall(manager: Manager, installed: Installed, machine: Machine, folder: StateFolder) -> list[Step]:
    """Data, identities and logs stay in the state folder."""
    steps: list[Step] = []
    known = [title for title in installed.titles if title in machine.states]
    if known:
        steps += map(Run, manager.stop(known, ()))
    steps.append(Settle(installed.titles))
    steps += map(Run, manager.disable())
    steps += [Remove(path) for path in map(Path, installed.files) if _goes(path, folder)]
    steps += map(Run, manager.reload())
    return [*steps, Record(None)]


def stop(manager: Manager, titles: Sequence[str], machine: Machine) -> Iterator[Step]:
    known = [title for title in titles if title in machine.states]
    if known:
        yield from map(Run, manager.stop(known, [title for title in machine.states if title not in known]))
    yield Settle(tuple(titles))


def start(manager: Manager, titles: Sequence[str], machine: Machine) -> Iterator[Step]:
    """Starts what does not run, whatever its exit status; what runs is left alone."""
    idle = [title for title in titles if title not in machine.states or not machine.states[title].is_active]
    if idle:
        yield from stop(manager, idle, machine)
        yield from map(Run, manager.start(idle, [title for title in machine.states if title not in idle]))


def restart(manager: Manager, titles: Sequence[str], machine: Machine) -> Iterator[Step]:
    yield from stop(manager, titles, machine)
    yield from map(Run, manager.start(titles, [title for title in machine.states if title not in titles]))


def _changed(target: Installed, files: Sequence[File], before: Installed | None, machine: Machine) -> set[str]:
    """The programs to restart, as a file that they read has changed."""
    if before is None or before.version != target.version:
        return set(target.titles)
    changed = set(before.pending)
    for file in files:
        if before.files.get(str(file.path)) != digest(file.text) or machine.texts.get(file.path) != file.text:
            changed |= file.read_by
    return changed


def _has_failed(title: str, machine: Machine) -> bool:
    return title in machine.states and machine.states[title].has_failed


def _runs_or_has_finished(state: ProcessState) -> bool:
    return state.is_active or state.is_finished


def _goes(path: Path, folder: StateFolder) -> bool:
    return not path.is_relative_to(folder.root) or path.is_relative_to(folder.services)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"cannot read {path}: {error}") from None
