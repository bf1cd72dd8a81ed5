"""Runs one instance of rl-swarm as a peer's trainer: `python -m fleet.processes.rl_swarm --start FILE`.

It does what the launch script does, but for its questions: a folder for the instance, the account of who is logged in,
the variables; and it starts the trainer itself. A trainer that exits with 0 although its log tells a crash, as releases
from 0.5 on do, has failed.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exporter.plain_output import allow_any_text
from exporter.problems.tally import find_cause
from exporter.run_folder import read_bounded
from fleet.processes.command import CANNOT_RUN, run_command, to_status
from fleet.processes.launch import WRONG_CONFIGURATION_EXIT_CODE
from fleet.processes.leftovers import end
from fleet.processes.owner import OWNER_VARIABLE, owned_by
from fleet.rl_swarm.checkout import Checkout, Start, make_command, make_environment, read_checkout
from fleet.rl_swarm.instance import prepare
from fleet.rl_swarm.login import Turns, keep, read_account

MAX_BYTES = 1 << 16
# How often rewards are submitted, from the start on.
SUBMIT_SECONDS = 3 * 3600.0
LOGIN_SECONDS = 5.0
REMINDER_SECONDS = 300.0
# Of its log, what may tell why it ended.
TAIL_BYTES = 1 << 16
# `peerwatch up` shows these lines of the log while a peer starts, as it does those of our own trainer.
START_STEP = "starting:"
_UNWANTED = ("PYTHONSAFEPATH",)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status for a service manager: none starts again what cannot start."""
    allow_any_text()
    parser = argparse.ArgumentParser(
        prog="python -m fleet.processes.rl_swarm",
        description="Run one instance of rl-swarm as a peer's trainer.",
        epilog="example: python -m fleet.processes.rl_swarm --start peers/one/rl-swarm.json",
    )
    parser.add_argument("--start", type=Path, required=True, metavar="FILE", help="written by the fleet")
    path = parser.parse_args(arguments).start
    given = json.loads(read_bounded(path, MAX_BYTES))
    checkout = read_checkout(Path(given["checkout"]))
    if checkout is None or not given["config"]:
        return _fail(f"{given['checkout']}: no rl-swarm whose release is known; see `folder:` and `config:`")
    if not given["contract"]:
        return _fail(f"{given['checkout']}: its launch script names no contract; set `contract:`")
    try:
        prepare(checkout.folder, Path(given["instance"]))
        account = given["account"] or _wait_for_account(checkout, Path(given["store"]), given["login_port"])
        seconds = Turns(Path(given["store"])).take(given["name"], given["spacing"], SUBMIT_SECONDS)
        if seconds:
            _say(f"{START_STEP} waits {seconds:.0f} s, so that no two peers of the account submit at once")
            time.sleep(seconds)
        return _run(checkout, given, account, path.parent)
    except OSError as error:
        _say(f"{error.filename or given['python']}: {error.strerror}")
        return CANNOT_RUN


def _wait_for_account(checkout: Checkout, store: Path, port: int) -> str:
    """Of who is logged in; until somebody is."""
    reminded_at = -REMINDER_SECONDS
    while True:
        if restored := keep(checkout.folder, store):
            _say(f"put back {', '.join(restored)}, which the launch script had removed")
        account = read_account(checkout.folder)
        if account is not None:
            return account
        if time.monotonic() - reminded_at >= REMINDER_SECONDS:
            _say(f"{START_STEP} nobody is logged in: open http://localhost:{port}, or set `account:` in peerwatch.yaml")
            reminded_at = time.monotonic()
        time.sleep(LOGIN_SECONDS)


def _run(checkout: Checkout, given: Mapping[str, Any], account: str, run_folder: Path) -> int:
    start = Start(
        python=given["python"],
        identity=Path(given["identity"]),
        account=account,
        contract=given["contract"],
        config=Path(given["config"]),
        model=given["model"],
        game=given["game"],
        login_port=given["login_port"],
        arguments=given["arguments"],
    )
    instance = Path(given["instance"])
    # Its own variables go before, and a token is one of them or of who started the fleet.
    environment = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    environment |= make_environment(start, instance) | given["environment"]
    environment.setdefault("HUGGINGFACE_ACCESS_TOKEN", "None")
    log = _Log(instance, checkout.log)

    def judge(exit_code: int) -> int:
        exception, problem, _ = find_cause(log.read_new() if exit_code == os.EX_OK else "")
        if problem is None:
            return exit_code
        _say(f"it exited with 0, but its log tells a failure: {problem.message}; {problem.remedy}")
        if exception:
            # Where an alert's evidence looks for it.
            print(exception, file=sys.stderr, flush=True)
        return 1

    exit_code = run_command(
        make_command(checkout, start), run_folder, folder=instance, environment=environment, judge=judge
    )
    # Its DHT is a forked child that outlives it, with the daemon that holds its identity.
    end(owned_by(os.environ[OWNER_VARIABLE]) if os.environ.get(OWNER_VARIABLE) else (), grace_seconds=2)
    return to_status(exit_code, run_folder)


class _Log:
    """What a trainer adds to its log from now on: 0.4 begins it anew, later releases append."""

    def __init__(self, instance: Path, pattern: str | None) -> None:
        self._instance, self._pattern = instance, pattern
        self._sizes: dict[Path, int] = {}
        for path in self._list():
            # One that leads nowhere, or is rotated away meanwhile.
            with contextlib.suppress(OSError):
                self._sizes[path] = path.stat().st_size

    def read_new(self) -> str:
        text = ""
        for path in self._list():
            try:
                with path.open("rb") as file:
                    size, before = file.seek(0, os.SEEK_END), self._sizes.get(path, 0)
                    file.seek(max(size - TAIL_BYTES, before if size >= before else 0))
                    text += file.read(TAIL_BYTES).decode(errors="replace")
            except OSError:
                continue
        return text

    def _list(self) -> list[Path]:
        return sorted(path for path in self._instance.glob(self._pattern or "logs/*.log") if path.name != "yarn.log")


def _fail(message: str) -> int:
    _say(message)
    return WRONG_CONFIGURATION_EXIT_CODE


def _say(message: str) -> None:
    print(f"peerwatch: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
