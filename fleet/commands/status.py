"""`peerwatch status`: one line per peer of a running fleet."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    file: Annotated[Path | None, typer.Option("-f", "--file", help="The fleet's configuration.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    state_dir: Annotated[Path | None, typer.Option("--state-dir", help="As given to `up`.")] = None,
) -> int:
    """Show each peer: state, step rate, memory, rank, reward, alerts. Exit status 1 if the fleet is not running.

    Example: peerwatch status --json
    """
    from fleet.alert_loop.access import Access
    from fleet.alert_loop.feed import Feed
    from fleet.configuration.compose import alerts_url
    from fleet.configuration.source import load_usable
    from fleet.console.view import describe_standby, rows
    from fleet.processes.files import RunError
    from fleet.processes.supervisord import ControlError
    from fleet.supervision.installed import processes as read_processes

    try:
        loaded = load_usable(file, state_dir)
    except ValueError as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 2
    assert loaded.config is not None
    try:
        processes = read_processes(loaded.folder)
    except RunError as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 1
    except ControlError:
        print(
            f"peerwatch: fleet {loaded.config.fleet} is not running (state folder {loaded.folder.root})",
            file=sys.stderr,
        )
        return 1
    status = Feed(Access.of(loaded)).status()
    if as_json:
        states = [process._asdict() | {"title": process.title} for process in processes]
        print(json.dumps({"fleet": loaded.config.fleet, "status": status, "processes": states}, indent=2))
        return 0
    for row in rows([peer.name for peer in loaded.peers], status, processes):
        print(row.line())
    if status is None:
        print(f"the alert loop does not answer at {alerts_url(loaded.config)}: only process states are shown")
    if standing := describe_standby(status):
        print(standing)
    for process in processes:
        if process.state != "RUNNING" and not process.is_finished:
            print(f"{process.title} is {process.state}; see {process.log}")
    return 0
