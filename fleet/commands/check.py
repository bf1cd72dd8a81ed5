"""`peerwatch check`: reports every error of a configuration at once."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    file: Annotated[Path, typer.Option("-f", "--file", help="The configuration to check.")] = Path("peerwatch.yaml"),
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", metavar="DIR", help="Instead of the file's state_dir.")
    ] = None,
) -> int:
    """Check a configuration: every error as FILE:LINE: path: message, exit status 2.

    Example: peerwatch check -f peerwatch.yaml
    """
    from alerts.sizes import show_size
    from fleet.configuration.checks import Machine, check
    from fleet.configuration.source import load
    from fleet.processes.files import RunError
    from fleet.supervision.foreground import is_up
    from fleet.supervision.installed import service_environment, services_run

    try:
        loaded = load(file, state_dir)
        is_running = is_up(loaded.folder) or services_run(loaded.folder)
        environment = service_environment(loaded.folder, "alerts") | os.environ
    except (ValueError, RunError) as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 2
    check(loaded, Machine.here(), is_running=is_running, environment=environment)
    for line in loaded.lines():
        print(line, file=sys.stderr)
    if not loaded.is_usable:
        return 2
    memory = sum(peer.memory_limit_bytes or 0 for peer in loaded.peers)
    limits = f", {show_size(memory)} memory limit in total" if memory else ""
    threads = f"; {_count(loaded.ours[0].threads, 'thread')} per trainer" if loaded.ours else ""
    alerts = loaded.composition.alerts
    peers, routes = len(loaded.peers), len(alerts.routes) if alerts is not None else 0
    counted = [(peers, "peer"), (routes, "alert route")]
    if loaded.config is not None and loaded.config.watch:
        counted.insert(1, (len(loaded.config.watch), "other machine"))
    counts = ", ".join(_count(number, what) for number, what in counted)
    standby = f"; standing by for {alerts.standby_of.url}" if alerts is not None and alerts.standby_of else ""
    print(f"{file}: OK: {counts}{threads}{limits}{standby}")
    return 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
