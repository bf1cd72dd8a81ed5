"""Starts one program, with a growing delay while its runs keep ending early.

Service managers restart a program at once or after a fixed time. This runs first at each start, waits for the delay
that the record of earlier starts calls for, and replaces itself by the program (exec: same pid, same process group).
"""

import argparse
import json
import os
import re
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.files.named_file import read_named
from exporter.plain_output import allow_any_text
from exporter.run_folder import write_atomically
from fleet.processes.owner import OWNER_VARIABLE

WRONG_CONFIGURATION_EXIT_CODE = 2
FINISHED_EXIT_CODE = 100
GAVE_UP_EXIT_CODE = 101

# After these no service manager restarts a program automatically.
FINAL_EXIT_CODES = (WRONG_CONFIGURATION_EXIT_CODE, FINISHED_EXIT_CODE, GAVE_UP_EXIT_CODE)

_MOST_BYTES = 1 << 20
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?(?P<name>[^\s=]+)\s*=\s*(?P<value>.*?)\s*")

# supervisord counts an exit within this time of the start as a failed start, and retries automatically.
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
    """Seconds to wait before the next start; None after too many.

    `starts` are the earlier starts since the last run that was stable, ascending; see `early_starts`.
    """
    if not starts:
        return 0.0
    if sum(start > now - policy.window for start in starts) >= policy.limit:
        return None
    doublings = min(len(starts) - 1, 32)
    return min(policy.first_delay * 2.0**doublings, policy.longest_delay)


def early_starts(starts: Sequence[float], now: float, policy: Policy) -> list[float]:
    """The starts that count: none after a run that was long enough, or a clock that was set back."""
    if not starts or now - starts[-1] >= policy.stable_after or starts[-1] > now:
        return []
    return list(starts[-policy.limit :])


def read_starts(record: Path) -> list[float]:
    try:
        starts = json.loads(record.read_text())["starts"]
        return [float(start) for start in starts]
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return []


def write_starts(record: Path, starts: Sequence[float]) -> None:
    """By rename, so that a crash leaves the old record. A full disk must not prevent a start."""
    try:
        write_atomically(record, json.dumps({"pid": os.getpid(), "starts": list(starts)}).encode())
    except OSError as error:
        print(f"launch: cannot record this start: {error}", file=sys.stderr, flush=True)


def read_environment(path: Path) -> dict[str, str]:
    """The variables of a file, as `parse_environment`; none without the file. Raises OSError or ValueError."""
    try:
        content = read_named(path, _MOST_BYTES)
    except FileNotFoundError:
        return {}
    try:
        return parse_environment(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError("not UTF-8; save the file as UTF-8") from None


def parse_environment(text: str) -> dict[str, str]:
    """The variables of `NAME=value` lines, which may begin with `export`; `#` begins a comment line.

    One pair of quotes around a value is no part of it, nor is space around it; what is in quotes is taken as it is.
    Raises ValueError with the number of a line that is none of these; no message shows a value.
    """
    variables = {}
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is not NAME=value")
        value = match["value"]
        if value[:1] in ("'", '"') and (len(value) == 1 or value[-1] != value[0]):
            raise ValueError(f"line {number} has a quote at one end of its value; write it at both, or at none")
        if "\0" in line:
            raise ValueError(f"line {number} has a NUL, which no variable takes; remove it")
        variables[match["name"]] = value[1:-1] if value[:1] in ("'", '"') else value
    return variables


def write_variable(name: str, value: str) -> str:
    """The line that `parse_environment` reads back; the value is one line."""
    is_plain = value == value.strip() and value[:1] not in ("'", '"')
    return f"{name}={value}\n" if is_plain else f'{name}="{value}"\n'


def wait_for_port(address: str, seconds: float) -> None:
    """Until the port accepts connections, or the time is over: then the program is started all the same."""
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
    allow_any_text()
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
        print(f"launch: {name} ended early {len(starts)} times; giving up until a manual start", flush=True)
        time.sleep(START_SECONDS + 1)
        sys.exit(GAVE_UP_EXIT_CODE)
    if seconds:
        print(f"launch: {name} ended early {len(starts)} times; restarting in {seconds:g} s", flush=True)
        time.sleep(seconds)
    elif not earlier:
        time.sleep(options.stagger)
    if options.wait_for:
        wait_for_port(options.wait_for, options.wait_seconds)
    try:
        environment = read_environment(options.environment_file) if options.environment_file else {}
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        sys.exit(f"launch: cannot read {options.environment_file}: {reason}")
    write_starts(options.record, [*starts, time.time()])
    try:
        os.execvpe(options.command[0], options.command, os.environ | environment)
    except OSError as error:
        sys.exit(f"launch: cannot run {options.command[0]}: {error.strerror}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fleet.processes.launch",
        description="Start a program, with a growing delay while its runs keep ending early.",
        epilog="example: python -m fleet.processes.launch --record starts.json -- python -m alerts --config a.yaml",
    )
    policy = Policy()
    parser.add_argument("--record", type=Path, required=True, help="file with the record of starts")
    parser.add_argument("--stagger", type=float, default=0.0, help="seconds to wait before the first start")
    parser.add_argument("--wait-for", metavar="HOST:PORT", help="wait until this accepts connections")
    parser.add_argument("--wait-seconds", type=float, default=60.0, help="at most this long")
    parser.add_argument("--environment-file", type=Path, metavar="FILE", help="NAME=value lines for the program")
    parser.add_argument("--first-delay", type=float, default=policy.first_delay)
    parser.add_argument("--longest-delay", type=float, default=policy.longest_delay)
    parser.add_argument("--stable-after", type=float, default=policy.stable_after)
    parser.add_argument("--limit", type=int, default=policy.limit)
    parser.add_argument("--window-seconds", type=float, default=policy.window)
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def _end_leftovers(name: str) -> None:
    """Children of a killed program outlive it (p2pd holds the peer's port) and would block the next run."""
    owner = os.environ.get(OWNER_VARIABLE)
    if not owner:
        return
    from fleet.processes.leftovers import end
    from fleet.processes.owner import owned_by

    leftovers = owned_by(owner)
    if leftovers:
        print(f"launch: ending {len(leftovers)} processes left by the last run of {name}", flush=True)
        end(leftovers, grace_seconds=2)


if __name__ == "__main__":
    main()
