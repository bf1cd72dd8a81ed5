"""Ends what a killed test run had started: `python -m tests.orphans MARK`.

It waits for the end of a pipe, then looks for MARK in the environment of each process.
A run that ends normally says so through the pipe.
"""

import contextlib
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Self

import psutil

VARIABLE = "PEERWATCH_TEST_RUN"
_ENDED = b"ended"


class OrphanGuard:
    """A process of its own session beside the test run; a context."""

    def __init__(self) -> None:
        mark = os.environ[VARIABLE] = secrets.token_hex(16)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, mark],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name != VARIABLE},
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._process.communicate(_ENDED)
        del os.environ[VARIABLE]


def find_marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(VARIABLE) == mark:
                found.append(process)
    return found


def main() -> None:
    if sys.stdin.buffer.read() == _ENDED:
        return
    # What is killed may have started another meanwhile.
    while found := find_marked(sys.argv[1]):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=2)


if __name__ == "__main__":
    main()
