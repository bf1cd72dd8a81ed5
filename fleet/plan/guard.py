"""Ends a trial's processes when the trial is gone, however it went: `python -m fleet.plan.guard OWNER`.

It holds the other end of a pipe that closes with the trial's own process. A trial peer left alone would keep its
gigabytes for as long as its last step is away.
"""

import contextlib
import signal
import sys

import psutil

from fleet.processes.owner import owned_by


def main() -> None:
    # Ctrl-C and a closed terminal reach the trial, whose end is what this waits for.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    for left in owned_by(sys.argv[1]):
        with contextlib.suppress(psutil.Error):
            left.kill()


if __name__ == "__main__":
    main()
