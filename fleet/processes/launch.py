"""Starts one program in its own place, later and later while its runs keep ending early.

Service managers restart a program at once or after a fixed time. This runs first at each start, waits as long as the
record of earlier starts says, and then becomes the program (exec: same pid, same process group, nothing in between).
"""

import argparse
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.run_folder import write_atomically
from fleet.processes.owner import OWNER_VARIABLE

WRONG_CONFIGURATION_EXIT_CODE = 2
FINISHED_EXIT_CODE = 100
GAVE_UP_EXIT_CODE = 101

# After these no service manager starts a program again by itself.
FINAL_EXIT_CODES = (WRONG_CONFIGURATION_EXIT_CODE, FINISHED_EXIT_CODE, GAVE_UP_EXIT_CODE)

# supervisord takes an exit within this time of the start for a failed start, and tries again by itself.
START_SECONDS = 1


@dataclass(frozen=True)
class Policy:
    """How long to wait before a start, and when to give up."""

    first_delay: float = 5.0
    longest_delay: float = 300.0
    stable_after: float = 600.0
    limit: int = 20
    window: float = 7200.0


def delay(starts: Sequence[float], now: float, policy: Policy) -> float | None:
    """Seconds to wait before the next start; None where there have been too many.

    `starts` are the earlier starts since the last run that was stable, ascending; see `early_starts`.
    """
    if not starts:
        return 0.0
    if sum(start > now - policy.window for start in starts) >= policy.limit:
        return None
    doublings = min(len(starts) - 1, 32)
    return min(policy.first_delay * 2.0**doublings, policy.longest_delay)


def early_starts(starts: Sequence[float], now: float, policy: Policy) -> list[float]:
    """The starts that count: none once the last run was long enough, or where the clock has been set back."""
    if not starts or now - starts[-1] >= policy.stable_after or starts[-1] > now:
        return []
    return list(starts[-policy.limit :])


def read_starts(record: Path) -> list[float]:
    try:
        starts = json.loads(record.read_text())["starts"]
        return [float(start) for start in starts]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def write_starts(record: Path, starts: Sequence[float]) -> None:
    """By rename, so that a crash leaves the old record. A full disk must not keep a program from starting."""
    try:
        write_atomically(record, json.dumps({"pid": os.getpid(), "starts": list(starts)}).encode())
    except OSError as error:
        print(f"launch: cannot record this start: {error}", file=sys.stderr, flush=True)


def read_environment(path: Path) -> dict[str, str]:
    """The `NAME=value` lines of a file, each value as it stands; `#` starts a comment line. Empty without the file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value for name, value in pairs}


def wait_for_port(address: str, seconds: float) -> None:
    """Until something accepts connections there, or the time is over: then the program may find out itself."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=2).close()
        except OSError:
            time.sleep(0.5)
        else:
            return


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    policy = Policy(
        options.first_delay, options.longest_delay, options.stable_after, options.limit, options.window_seconds
    )
    name = options.record.stem
    earlier = read_starts(options.record)
    if earlier:
        _end_leftovers(name)
    now = time.time()
    starts = early_starts(earlier, now, policy)
    seconds = delay(starts, now, policy)
    if seconds is None:
        print(f"launch: {name} ended early {len(starts)} times; giving up until it is started by hand", flush=True)
        time.sleep(START_SECONDS + 1)
        sys.exit(GAVE_UP_EXIT_CODE)
    if seconds:
        print(f"launch: {name} ended early {len(starts)} times; starting it again in {seconds:g} s", flush=True)
        time.sleep(seconds)
    elif not earlier:
        time.sleep(options.stagger)
    if options.wait_for:
        wait_for_port(options.wait_for, options.wait_seconds)
    try:
        environment = read_environment(options.environment_file) if options.environment_file else {}
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"launch: cannot read {options.environment_file}: {error}")
    write_starts(options.record, [*starts, time.time()])
    try:
        os.execvpe(options.command[0], options.command, os.environ | environment)
    except OSError as error:
        sys.exit(f"launch: cannot run {options.command[0]}: {error.strerror}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fleet.processes.launch",
        description="Start a program, later and later while its runs keep ending early.",
        epilog="example: python -m fleet.processes.launch --record starts.json -- python -m alerts --config a.yaml",
    )
    policy = Policy()
    parser.add_argument("--record", type=Path, required=True, help="file that remembers the starts")
    parser.add_argument("--stagger", type=float, default=0.0, help="seconds to wait before the very first start")
    parser.add_argument("--wait-for", metavar="HOST:PORT", help="wait until this accepts connections")
    parser.add_argument("--wait-seconds", type=float, default=60.0, help="but no longer than this")
    parser.add_argument("--environment-file", type=Path, metavar="FILE", help="NAME=value lines, for the program")
    parser.add_argument("--first-delay", type=float, default=policy.first_delay)
    parser.add_argument("--longest-delay", type=float, default=policy.longest_delay)
    parser.add_argument("--stable-after", type=float, default=policy.stable_after)
    parser.add_argument("--limit", type=int, default=policy.limit)
    parser.add_argument("--window-seconds", type=float, default=policy.window)
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def _end_leftovers(name: str) -> None:
    """A program that was killed leaves its children (p2pd keeps the peer's port), which the next run would meet."""
    owner = os.environ.get(OWNER_VARIABLE)
    if not owner:
        return
    from fleet.processes.leftovers import end
    from fleet.processes.owner import owned_by

    leftovers = owned_by(owner)
    if leftovers:
        print(f"launch: ending {len(leftovers)} processes that the last run of {name} left behind", flush=True)
        end(leftovers, grace_seconds=2)


if __name__ == "__main__":
    main()
