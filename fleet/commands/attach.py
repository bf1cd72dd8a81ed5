"""`peerwatch attach`: the trainers that run on this machine, and how they come to be watched without a restart."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleet.attach.candidates import Candidate

File = Annotated[Path, typer.Option("-f", "--file", help="The configuration to add them to; a new one is made.")]


def command(
    target: Annotated[
        str | None, typer.Argument(help="A process id, or the folder that a trainer runs in; without, list them.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every trainer that is not watched yet.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="The peer's name; default: its folder's.")] = None,
    file: File = Path("peerwatch.yaml"),
    state_dir: Annotated[Path | None, typer.Option("--state-dir", help="As given to `up`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="List as JSON.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the file as it would be; change nothing.")] = False,
    only_add: Annotated[bool, typer.Option("--no-start", help="Add to the file; start nothing.")] = False,
) -> int:
    """List the trainers that run here, or watch them as they are: no edit, no restart.

    Example: peerwatch attach 4711 --name night-run
    """
    from fleet.attach.candidates import find_candidates
    from fleet.attach.entry import EntryError
    from fleet.attach.machine import list_written, read_processes, read_text

    named = int(target) if target is not None and target.isdecimal() else None
    processes = read_processes()
    candidates = find_candidates(processes, read_text, list_written, named=named)
    if target is None and not every:
        _list(candidates, as_json=as_json)
        return 0
    if named is not None and all(one.pid != named for one in processes):
        return _fail(f"process {named}: there is none that this user can see; `peerwatch attach` lists the trainers")
    try:
        chosen = _choose(candidates, target)
        if name is not None and len(chosen) > 1:
            raise EntryError(f"--name {name}: {len(chosen)} trainers are meant; name one by its process id")
        text, names = _extend(file, chosen, name)
    except EntryError as error:
        return _fail(str(error))
    if dry_run:
        print(text, end="")
        return 0
    return _save(file, text, names, state_dir, start=not only_add)


def _list(candidates: "list[Candidate]", *, as_json: bool) -> None:
    from fleet.console.view import clean

    if as_json:
        print(json.dumps([_as_json(one) for one in candidates], indent=2))
        return
    if not candidates:
        print("no trainer runs here that this user can see")
    for one in candidates:
        print(f"{one.pid:>8}  {clean(one.title)}")
        if swarm := _describe_swarm(one):
            names = {"version": "rl-swarm", "name": "named", "peer_id": "peer", "identity_path": "identity"}
            told = ", ".join(f"{text} {swarm[key]}" for key, text in names.items() if key in swarm)
            print(f"          {clean(told)}")
        for reader in one.readers:
            options = ", ".join(f"{key}: {value}" for key, value in reader.options.items())
            print(f"          reads {reader.name}: {clean(options)}" if options else f"          reads {reader.name}")
        if not one.readers and not one.is_watched:
            print("          no progress can be read: process, memory and its end are watched")
        for note in one.notes:
            print(f"          {clean(note)}")
    if any(not one.is_watched for one in candidates):
        print("watch one with `peerwatch attach PID --name NAME`, all with `peerwatch attach --all`")


def _as_json(one: "Candidate") -> dict[str, object]:
    return {
        "pid": one.pid,
        "kind": one.kind,
        "title": one.title,
        "user": one.user,
        "folder": str(one.folder) if one.folder else None,
        "progress": [{reader.name: dict(reader.options)} for reader in one.readers],
        "notes": list(one.notes),
        "watched": one.is_watched,
    } | ({"swarm": swarm} if (swarm := _describe_swarm(one)) else {})


def _describe_swarm(one: "Candidate") -> dict[str, str]:
    """Who an rl-swarm is, as far as its files tell; empty for any other."""
    from fleet.configuration.swarm_peers import identify
    from fleet.rl_swarm.checkout import read_checkout

    if one.swarm is None:
        return {}
    checkout = read_checkout(one.swarm.checkout) if one.swarm.checkout else None
    return identify(one.swarm.identity, one.swarm.contract, checkout)


def _choose(candidates: "list[Candidate]", target: str | None) -> "list[Candidate]":
    """Raises EntryError where none is meant, or several by one target."""
    from fleet.attach.entry import EntryError

    if target is None:
        chosen = [one for one in candidates if not one.is_watched and one.criteria is not None]
        if not chosen:
            raise EntryError("no trainer runs here that could be watched and is not; `peerwatch attach` lists all")
        return chosen
    if target.isdecimal():
        chosen = [one for one in candidates if int(target) in one.pids]
        what = f"process {target}"
    else:
        folder = Path(target).expanduser().resolve()
        chosen = [one for one in candidates if one.folder is not None and one.folder.resolve() == folder]
        what = str(folder)
    if not chosen:
        raise EntryError(f"{what}: no trainer that can be recognised; `peerwatch attach` lists those that can")
    if len(chosen) > 1:
        pids = ", ".join(str(one.pid) for one in chosen)
        raise EntryError(f"{what}: several trainers ({pids}); name one by its process id")
    if chosen[0].is_watched:
        raise EntryError(f"{what}: is watched already")
    return chosen


def _extend(file: Path, chosen: "list[Candidate]", name: str | None) -> tuple[str, list[str]]:
    """The file's text with these peers, and their names. Raises EntryError."""
    from fleet.attach.entry import EntryError, add_peers, choose_name, describe_peer, list_names, new_file
    from fleet.configuration.load import load_file, load_text

    taken: list[str] = []
    if file.exists():
        loaded = load_file(file)
        if not loaded.is_usable:
            raise EntryError(f"{loaded.lines()[0]}; correct that first")
        taken = list_names(file.read_text(encoding="utf-8")) or [peer.name for peer in loaded.peers]
        text = file.read_text(encoding="utf-8")
    else:
        text = new_file(os.uname().nodename.partition(".")[0])
    names: list[str] = []
    peers = []
    for one in chosen:
        names.append(name or choose_name(one, [*taken, *names]))
        peers.append(describe_peer(one, names[-1]))
    text = add_peers(text, peers, taken)
    changed = load_text(text, str(file), file.absolute().parent)
    if not changed.is_usable:
        raise EntryError(changed.lines()[0])
    return text, names


def _save(file: Path, text: str, names: list[str], state_dir: Path | None, *, start: bool) -> int:
    from exporter.run_folder import write_atomically
    from fleet.commands import services, up
    from fleet.configuration.load import load_file
    from fleet.processes.files import RunError
    from fleet.supervision.foreground import is_up
    from fleet.supervision.installed import read_installed

    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    try:
        write_atomically(file.resolve(), text.encode(), mode=mode)
    except OSError as error:
        return _fail(f"{file}: {error.strerror}")
    print(f"{file}: added {', '.join(names)}", flush=True)
    folder = load_file(file, state_dir).folder
    if not start:
        return 0
    try:
        installed = read_installed(folder)
    except RunError as error:
        return _fail(str(error))
    if installed is not None:
        return services.install(file, state_dir)
    if is_up(folder):
        print("the running `peerwatch up` watches them from now on")
        return 0
    print(
        "watching; Ctrl-C ends the watching and no trainer, `peerwatch services install` watches for good", flush=True
    )
    return up.command(file, None, state_dir, False)


def _fail(message: str) -> int:
    print(f"peerwatch: {message}", file=sys.stderr)
    return 2
