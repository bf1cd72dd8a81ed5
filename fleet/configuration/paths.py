"""What the paths of a configuration lead to: the state folder, and the folders and programs of commands."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fleet.configuration.load import Loaded
from fleet.configuration.peers import our_trainers
from fleet.configuration.watched import CommandPeer
from fleet.configuration.yaml_lines import Problem
from trainer.swarm.identity import read_peer_id

# What the names of the state folder's files end in.
_FILES = frozenset({".env", ".json", ".lock", ".log", ".pem", ".prom", ".sqlite", ".token", ".yaml"})


def find_state_problems(root: Path) -> Iterator[Problem]:
    """A state folder that cannot be made or written."""
    remedy = "set another `state_dir`"
    try:
        there = next(path for path in (root, *root.parents) if os.path.lexists(path))
        if not os.path.isdir(there):
            yield Problem(("state_dir",), f"{there} is no folder; {remedy}")
            return
        root.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        yield Problem(("state_dir",), f"{root}: {error.strerror}; {remedy}")
        return
    if not _can_write(there):
        yield Problem(("state_dir",), f"cannot write to {there}; {remedy}")


def _can_write(folder: Path) -> bool:
    """Tried, and undone: what permissions say is not true of root, nor of /proc and other folders of the kernel."""
    try:
        with tempfile.TemporaryDirectory(prefix=".peerwatch-", dir=folder) as made:
            (Path(made) / "file").touch()
    except OSError:
        return False
    return True


def find_state_folder_problems(loaded: Loaded) -> Iterator[Problem]:
    """Folders and identities in the state folder that no program of the fleet can use."""
    folder = loaded.folder
    paths = (folder.root, folder.leaderboard, folder.alerts, folder.push, folder.launches)
    for path in (*paths, *(folder.peer(peer.name) for peer in loaded.peers)):
        if mistake := find_folder_mistake(path):
            remedy = "set" if path == folder.root else "remove it, or set"
            yield Problem(("state_dir",), f"{mistake}; {remedy} another `state_dir`")
            return
        if mistaken := next(_folders_named_as_files(path), None):
            yield Problem(("state_dir",), f"{mistaken} is a folder, where a file belongs; remove it")
            return
    for peer in our_trainers(loaded.peers):
        identity = folder.peer(peer.name) / "identity.pem"
        try:
            if identity.is_file():
                read_peer_id(identity)
            elif os.path.lexists(identity):
                yield Problem(("state_dir",), f"{identity} is no file; remove it for a new identity")
        except OSError as error:
            yield Problem(("state_dir",), f"cannot read {identity}: {error.strerror}; check its owner")
        except ValueError as error:
            yield Problem(("state_dir",), f"{error}; restore it, or remove it for a new identity")


def _folders_named_as_files(folder: Path) -> Iterator[Path]:
    if os.path.isdir(folder):
        yield from (one for one in sorted(folder.iterdir()) if one.suffix in _FILES and one.is_dir())


def find_folder_mistake(path: Path) -> str | None:
    """Why a folder of the state cannot be used; None where it can be, or does not exist yet."""
    there = next(one for one in (path, *path.parents) if os.path.lexists(one))
    if not os.path.isdir(there):
        return f"{there} is no folder"
    if there != path:
        return None
    facts = path.stat()
    if facts.st_uid != os.getuid():
        return f"{path} belongs to another user"
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{path} can be written to by other users"
    return None if os.access(path, os.W_OK | os.X_OK) else f"cannot write to {path}"


def find_command_problems(loaded: Loaded, path: str | None) -> Iterator[Problem]:
    """Commands whose folder or program is missing; `path` is the PATH of those that set none."""
    for peer in loaded.peers:
        if not isinstance(peer.watched, CommandPeer):
            continue
        where = peer.where or ()
        folder = loaded.base / peer.watched.folder.expanduser()
        program = peer.watched.command[0]
        if not os.path.isdir(folder):
            yield Problem((*where, "folder"), f"no folder {folder}; name an existing one")
        elif mistake := _program_mistake(program, folder, peer.watched.environment.get("PATH", path)):
            yield Problem((*where, "command"), mistake)


def _program_mistake(program: str, folder: Path, path: str | None) -> str | None:
    if "/" not in program:
        if shutil.which(program, path=path):
            return None
        return f"no program {program[:100]!r} on PATH; write its whole path, or set PATH in `environment`"
    full = folder / program
    if os.path.isdir(full):
        return f"{full} is a folder; name a program"
    if not os.path.exists(full):
        return f"no program {full}; name an existing one"
    if not os.access(full, os.X_OK):
        return f"{full} is not executable; run `chmod +x` on it, or write its interpreter before it"
    return None
