"""Ends a trial's processes when the trial has ended, however it ended: `python -m fleet.plan.guard OWNER`.

It holds the other end of a pipe that closes with the trial's own process. A leftover trial peer would keep its
gigabytes until its last step.
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
