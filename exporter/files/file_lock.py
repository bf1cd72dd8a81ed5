"""Locks a file for one process, and tells a lock that is taken from a disk on which nothing can be locked."""

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

# flock on Linux and macOS; NFS and SMB may report the same as EACCES.
_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class LockTakenError(Exception):
    """Another process holds the lock."""


class NoLocksError(Exception):
    """Files in this folder cannot be locked; the text has the folder, the reason and the remedy."""


@contextlib.contextmanager
def locked(path: Path, mode: str = "a+") -> Iterator[IO[str]]:
    """Holds the lock of a file, which is created. Raises LockTakenError, NoLocksError, or OSError from opening it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, mode) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _TAKEN:
                raise LockTakenError(str(path)) from None
            raise NoLocksError(_explain(path.parent, error)) from None
        yield file


def find_lock_problem(folder: Path) -> str:
    """Why files in a folder cannot be locked in the two ways that processes do it; empty where they can.

    Raises OSError if no file can be made there.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
            # What SQLite uses.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return _explain(folder, error)
    return ""


def check_locks(folder: Path) -> None:
    """Raises NoLocksError if files in the folder cannot be locked, and OSError if none can be made there."""
    problem = find_lock_problem(folder)
    if problem:
        raise NoLocksError(problem)


def _explain(folder: Path, error: OSError) -> str:
    return (
        f"files in {folder} cannot be locked ({error.strerror}), as on some network disks (NFS, SMB, 9p, FUSE);"
        " set `state_dir` to a folder on a local disk"
    )
