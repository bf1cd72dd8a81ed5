"""Ends a fleet whose `peerwatch up` was killed: `python -m fleet.supervision.orphan_guard STATE_FOLDER`.

It waits at the other end of a pipe, which the kernel closes however `up` ends. Linux alone could have a child
signalled at its parent's death; a pipe does it on macOS too.
"""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

_DISMISSED = b"dismissed"
_LOCK_SECONDS = 5.0


class OrphanGuard:
    """The guard of one `up`; a context. Leaving it dismisses the guard."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONSAFEPATH": "1"},
            # What kills the process group of `up` must not kill its guard.
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._process.communicate(_DISMISSED)


def main() -> int:
    """Waits for the end of `up`; returns the exit status."""
    root = Path(sys.argv[1])
    if sys.stdin.buffer.read() == _DISMISSED:
        return 0
    from fleet.processes.files import RunError
    from fleet.state_folder import StateFolder
    from fleet.supervision.foreground import end_earlier, locked

    folder = StateFolder(root)
    # The lock of the killed `up` may go a moment after its end of the pipe. A new `up` that holds it cleans up itself.
    deadline = time.monotonic() + _LOCK_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(RunError), locked(folder):
            end_earlier(folder)
            return 0
        time.sleep(0.1)
    return 1


if __name__ == "__main__":
    sys.exit(main())
