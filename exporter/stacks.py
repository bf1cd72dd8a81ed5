"""The stacks of a trainer's threads, written to stacks.log on SIGUSR1 wherever nobody else took that signal."""

import contextlib
import ctypes
import faulthandler
import os
import signal
import threading
from pathlib import Path

STACKS_FILE = "stacks.log"

_DEFAULT = 0
_lock = threading.Lock()
_path: Path | None = None
_descriptor: int | None = None
_handler: int | None = None


def register(run_dir: Path) -> None:
    """Lets SIGUSR1 write all stacks to the folder's stacks.log, for the life of the process.

    A handler of somebody else, or a signal that is ignored, is left alone. It does nothing either on a system without
    the signal, or where the file cannot be opened. Any thread may call it.
    """
    global _path, _descriptor, _handler
    path = Path(os.path.abspath(run_dir)) / STACKS_FILE
    with _lock:
        if _path == path and is_registered():
            return
        descriptor = _open(path) if _is_free() else None
        # Looked at again: opening may have taken long, and nothing runs between this line and the next.
        if descriptor is None:
            return
        if not _is_free():
            os.close(descriptor)
            return
        faulthandler.register(signal.SIGUSR1, file=descriptor, all_threads=True)
        before, _descriptor = _descriptor, descriptor
        _path, _handler = path, _find_handler()
        if before is not None:
            os.close(before)


def is_registered() -> bool:
    """Whether SIGUSR1 still writes the stacks: somebody may have taken the signal since."""
    return _handler is not None and _find_handler() == _handler


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError:
        return None


def _is_free() -> bool:
    return is_registered() or _find_handler() == _DEFAULT


def _find_handler() -> int | None:
    """The address of the handler of SIGUSR1, 0 for the default; None where it cannot be found out.

    Python knows only the handlers that were set by Python. The first field of C's `struct sigaction` is the handler,
    in glibc, musl and macOS alike. PyDLL keeps other threads from running meanwhile.
    """
    if not hasattr(faulthandler, "register"):
        return None
    action = (ctypes.c_size_t * 64)()
    with contextlib.suppress(OSError, AttributeError):
        if ctypes.PyDLL(None).sigaction(int(signal.SIGUSR1), None, ctypes.byref(action)) == 0:
            return int(action[0])
    return None
