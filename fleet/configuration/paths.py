"""What the paths of a configuration lead to: the state folder, and the folders and programs of commands."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fleet.configuration.load import Loaded
from fleet.configuration.watched import CommandPeer
from fleet.configuration.yaml_lines import Problem


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
