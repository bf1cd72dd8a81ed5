"""`peerwatch up`: the whole fleet in the foreground."""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleet.configuration.load import Loaded
    from fleet.console.screen import Screen

_NO_PROMETHEUS = (
    "--with-prometheus: prometheus is not on PATH; install it (apt install prometheus, brew install prometheus), "
    "or run compose.yaml beside the fleet"
)


def command(
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="Configuration; else ./peerwatch.yaml, else a demo.")
    ] = None,
    run_for: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="Stop after this time.")] = None,
    state_dir: Annotated[Path | None, typer.Option("--state-dir", help="Folder for all state.")] = None,
    with_prometheus: Annotated[
        bool, typer.Option("--with-prometheus", help="Start a Prometheus beside the fleet, for Grafana.")
    ] = False,
) -> int:
    """Run trainers, sidecars, leaderboard and alert loop, and show them until Ctrl-C.

    Example: peerwatch up -f peerwatch.yaml --for 8h
    """
    from alerts.durations import parse_duration
    from fleet.configuration.source import load

    os.umask(0o077)
    try:
        seconds = parse_duration(run_for) if run_for is not None else None
    except ValueError as error:
        return _fail(f"--for {run_for}: {error}")
    try:
        loaded = load(file, state_dir)
    except ValueError as error:
        return _fail(str(error))
    if not loaded.is_usable:
        return _explain(loaded)
    if with_prometheus:
        program = shutil.which("prometheus")
        if program is None:
            return _fail(_NO_PROMETHEUS)
        loaded.prometheus = Path(program)
    return _run(loaded, seconds)


class _Signals:
    """Counts stop requests: the first stops cleanly, the second at once."""

    def __init__(self) -> None:
        self.count = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under nohup SIGHUP is ignored: the fleet outlives its terminal.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: object) -> None:
        self.count += 1
        if number == signal.SIGHUP:
            discard_output()

    def has_stop(self) -> bool:
        return self.count > 0

    def is_forced(self) -> bool:
        return self.count > 1


def discard_output() -> None:
    """Sends output to /dev/null: once the terminal is gone, each write would fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _run(loaded: "Loaded", seconds: float | None) -> int:
    from fleet.supervision.foreground import Fleet, RunError, end_earlier, locked
    from fleet.supervision.installed import refuse_beside_services
    from fleet.supervision.orphan_guard import OrphanGuard

    signals = _Signals()
    try:
        with locked(loaded.folder):
            refuse_beside_services(loaded.folder)
            ended = end_earlier(loaded.folder)
            if ended:
                print(f"stopped {ended} processes left by an earlier run", flush=True)
            if not _is_startable(loaded):
                return _explain(loaded)
            fleet = Fleet(loaded)
            count = "1 peer" if len(fleet.peers) == 1 else f"{len(fleet.peers)} peers"
            print(f"starting fleet {fleet.config.fleet}: {count}", flush=True)
            with OrphanGuard(loaded.folder.root):
                return _follow(fleet, loaded, seconds, signals)
    except RunError as error:
        return _fail(str(error))


def _is_startable(loaded: "Loaded") -> bool:
    from fleet.configuration.checks import Machine, check

    check(loaded, Machine.here(), is_running=False)
    return loaded.is_usable


def _follow(fleet: "Fleet", loaded: "Loaded", seconds: float | None, signals: _Signals) -> int:  # type: ignore[name-defined] # noqa: F821
    from fleet.alert_loop.access import Access
    from fleet.alert_loop.feed import Feed
    from fleet.configuration.changes import ChangedFile
    from fleet.console.screen import open_screen
    from fleet.console.watch import Watch

    screen = open_screen()
    path = Path(loaded.source)
    file = ChangedFile(path, loaded.folder.root) if path.is_file() else None
    try:
        fleet.write()
        fleet.start()
        _print_addresses(loaded, screen)
        until = time.monotonic() + seconds if seconds is not None else None
        with screen:
            return Watch(fleet, Feed(Access.of(loaded)), screen, file).run(signals.has_stop, until)
    except OSError:
        # The terminal or pipe is gone.
        discard_output()
        return 1
    finally:
        with contextlib.suppress(OSError):
            print("stopping; Ctrl-C again to kill", flush=True)
        fleet.stop(signals.is_forced)


def _print_addresses(loaded: "Loaded", screen: "Screen") -> None:
    from fleet.configuration.compose import alerts_url, leaderboard_url, prometheus_url, sidecar_url
    from fleet.configuration.peers import has_board

    assert loaded.config is not None
    screen.write(f"status page   {alerts_url(loaded.config)}")
    if has_board(loaded.config, loaded.peers):
        screen.write(f"leaderboard   {leaderboard_url(loaded.config)}/api/leaderboard")
    if loaded.prometheus:
        screen.write(f"prometheus    {prometheus_url(loaded.config)}")
    for peer in loaded.peers:
        screen.write(f"{peer.name:<13} {sidecar_url(loaded.config, peer)}/metrics")
    screen.write(f"logs          {loaded.folder.root}")


def _explain(loaded: "Loaded") -> int:
    from fleet.configuration.source import is_demo

    for line in loaded.lines():
        print(line, file=sys.stderr)
    if is_demo(loaded):
        print("peerwatch: to change the demo: peerwatch init, edit peerwatch.yaml, peerwatch up", file=sys.stderr)
    return 2


def _fail(message: str) -> int:
    print(f"peerwatch: {message}", file=sys.stderr)
    return 2
