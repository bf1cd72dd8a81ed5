"""Runs a command as a peer's trainer: records which process it is and how it ended, and ends with its status.

A service manager restarts it; `peerwatch watch` runs one in the foreground. Signals go on to the command, which alone
decides what they mean.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from exporter.run_folder import Ending, is_restart_requested, write_ending, write_process_record
from exporter.system.process_identity import identify
from fleet.processes.launch import FINAL_EXIT_CODES, FINISHED_EXIT_CODE

CANNOT_RUN = 127
TICK_SECONDS = 0.5
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)


def run_command(
    command: Sequence[str],
    run_dir: Path,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    output: int | None = None,
    tick: Callable[[], None] = lambda: None,
    judge: Callable[[int], int] = lambda exit_code: exit_code,
) -> int:
    """Runs it to its end; the exit code as a shell gives it. Raises OSError where it cannot be started.

    `output` is a file descriptor for its output and errors; `tick` is called some times a second meanwhile. `judge`
    makes of the exit code what it is worth.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=output, stderr=None if output is None else subprocess.STDOUT
    )
    identity = identify(process.pid)
    _forward_signals(process)
    with contextlib.suppress(OSError):  # A full disk costs the record, not the run.
        write_process_record(run_dir, identity)
    while (status := _wait(process)) is None:
        tick()
    exit_code = judge(status if status >= 0 else 128 - status)
    with contextlib.suppress(OSError):
        write_ending(run_dir, Ending(identity, exit_code, time.time()))
    return exit_code


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    """The exit status; None while it runs."""
    try:
        return process.wait(TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _forward_signals(process: subprocess.Popen[bytes]) -> None:
    """A signal of the terminal reaches the command without help, as it is in the same process group."""

    def forward(number: int, _frame: object) -> None:
        if number == signal.SIGINT and sys.stdin.isatty():
            return
        with contextlib.suppress(OSError):
            process.send_signal(number)

    for number in _FORWARDED:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, forward)


def main(arguments: Sequence[str] | None = None) -> int:
    """For service managers: a command that has finished is not started again, unless it was ended for a restart."""
    parser = argparse.ArgumentParser(
        prog="python -m fleet.processes.command",
        description="Run a command as a peer's trainer.",
        epilog="example: python -m fleet.processes.command --run-dir runs/a -- python train.py",
    )
    parser.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help="the peer's run folder")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where the command runs")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(arguments)
    try:
        exit_code = run_command(given.command, given.run_dir, folder=given.folder)
    except OSError as error:
        print(f"{error.filename or given.command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return CANNOT_RUN
    return to_status(exit_code, given.run_dir)


def to_status(exit_code: int, run_dir: Path) -> int:
    """The exit status by which service managers know whether to start it again."""
    if exit_code == os.EX_OK:
        # Many trainers save and exit cleanly on SIGTERM.
        return 128 + signal.SIGTERM if is_restart_requested(run_dir) else FINISHED_EXIT_CODE
    # These are the launcher's own words for "do not restart".
    return 1 if exit_code in FINAL_EXIT_CODES else exit_code


if __name__ == "__main__":
    sys.exit(main())
