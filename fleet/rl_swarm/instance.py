"""One instance beside others of the same checkout: a folder of links, with logs, outputs and identity of its own.

rl-swarm 0.4 reads files relative to its working directory and logs there, and all releases leave runs of wandb in it:
two instances in one folder would write over each other's.
"""

import contextlib
import os
from pathlib import Path

# What a trainer leaves in its working directory, and what belongs to one instance. A name with a * is a beginning.
_OWN = frozenset((".git", ".hydra", "checkpoints", "logs", "outputs", "persist", "runs", "wandb"))
_OWN_SUFFIXES = (".log", ".pem", ".pid", ".tmp")


def prepare(checkout: Path, instance: Path) -> None:
    """Makes the folder, or brings its links up to date. Raises OSError."""
    for name in ("logs",):
        (instance / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {path.name: path for path in checkout.resolve().iterdir() if _is_shared(path)}
    for entry in os.scandir(instance):
        if entry.is_symlink() and (entry.name not in wanted or os.readlink(entry.path) != str(wanted[entry.name])):
            os.unlink(entry.path)
    for name, path in wanted.items():
        with contextlib.suppress(FileExistsError):
            (instance / name).symlink_to(path)


def _is_shared(path: Path) -> bool:
    return path.name not in _OWN and path.suffix not in _OWN_SUFFIXES
