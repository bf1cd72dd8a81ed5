"""`peerwatch watch`: starts one command, watches it like a peer, and ends with its status."""

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exporter.files import file_lock
from fleet.state_folder import StateFolder

if TYPE_CHECKING:
    from fleet.alert_loop.feed import Feed
    from fleet.configuration.load import Loaded
    from fleet.console.screen import Screen

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
# The message about a failed command has so long to leave.
_DELIVERY_SECONDS = 60.0
_EXIT_FAILED_TO_START = 127
# Beside those of a fleet, which may be started while this runs.
_SIDECAR_PORT, _PAGE_PORT = 9960, 8760


def command(
    words: Annotated[list[str], typer.Argument(metavar="COMMAND …", help="The command, after `--`.")],
    name: Annotated[str | None, typer.Option("--name", help="The peer's name; default: the command's.")] = None,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="Whose alerts to use; else ./peerwatch.yaml.")
    ] = None,
    state_dir: Annotated[Path | None, typer.Option("--state-dir", help="Folder for log and state.")] = None,
) -> int:
    """Start a command and watch it: progress from its output, memory, stalls, and how it ends. Ctrl-C goes to it.

    Example: peerwatch watch -- accelerate launch train.py
    """
    from fleet.processes.files import RunError
    from fleet.supervision.foreground import locked
    from fleet.supervision.orphan_guard import OrphanGuard

    os.umask(0o077)
    try:
        with contextlib.ExitStack() as held:
            loaded = _configure(words, name or _name_of(words), file, state_dir, held)
            with locked(loaded.folder), OrphanGuard(loaded.folder.root):
                return _run(loaded, words)
    except (ValueError, RunError) as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 2


def _name_of(words: list[str]) -> str:
    """The script's name, or the program's."""
    script = next((word for word in words if word.endswith((".py", ".sh"))), words[0])
    return _NOT_IN_A_NAME.sub("-", Path(script).stem).strip("-.")[:64] or "run"


def _configure(
    words: list[str], name: str, file: Path | None, state_dir: Path | None, held: contextlib.ExitStack
) -> "Loaded":
    """A fleet of one, with the alerts of a file; `held` keeps its ports. Raises ValueError with one line."""
    from exporter.files import yaml_text
    from fleet.configuration.checks import find_free_ports, find_start_problems
    from fleet.configuration.load import DEFAULT_FILE, load_file, load_text

    found = file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    alerts: dict[str, Any] = {}
    base = Path.cwd()
    if found is not None:
        try:
            given = load_file(found)
        except OSError as error:
            raise ValueError(f"{found}: {error.strerror}") from None
        alerts, base = dict(given.document.data.get("alerts") or {}), given.base
    sidecar, page = find_free_ports([_SIDECAR_PORT, _PAGE_PORT], lambda port: take_port(port, held))
    data = {
        "fleet": name,
        "sidecar_interval": "2s",
        "ports": {"sidecar": sidecar, "alerts": page},
        "peers": [{"name": name, "kind": "command", "command": words, "folder": str(Path.cwd())}],
        "alerts": {"interval": "5s", **without_restarts(alerts)},
    }
    loaded = load_text(yaml_text.dump(data), str(found or "watch"), base, state_dir)
    loaded.add(find_start_problems(loaded))
    if not loaded.is_usable:
        raise ValueError(loaded.lines()[0])
    return loaded


def take_port(port: int, held: contextlib.ExitStack) -> bool:
    """Keeps a port from others that watch, until `held` is closed; False where one of them has taken it.

    Nothing listens on it for the first seconds, so that all would find it free.
    """
    folder = StateFolder.of("").root
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.enter_context(file_lock.locked(folder / f".port-{port}.lock"))
    except file_lock.LockTakenError:
        return False
    except (file_lock.NoLocksError, OSError):
        # Where nothing can be locked, two that are started in one second may get one port.
        return True
    return True


def without_restarts(alerts: dict[str, Any]) -> dict[str, Any]:
    """The alerts of a fleet without `restart: true`: a command of the foreground is not started again."""
    rules = alerts.get("rules")
    if not isinstance(rules, dict):
        return alerts
    kept = {
        name: {key: value for key, value in settings.items() if key != "restart"}
        if isinstance(settings, dict)
        else settings
        for name, settings in rules.items()
    }
    return {**alerts, "rules": kept}


def _run(loaded: "Loaded", words: list[str]) -> int:
    from fleet.alert_loop.access import Access
    from fleet.alert_loop.feed import Feed
    from fleet.configuration.compose import alerts_url
    from fleet.console.copied_output import CopiedOutput
    from fleet.console.screen import Terminal
    from fleet.processes.command import run_command
    from fleet.supervision.beside import Beside

    assert loaded.config is not None
    (peer,) = loaded.peers
    log = loaded.folder.log("peer", peer.name)
    feed = Feed(Access.of(loaded), since=time.time())
    screen = Terminal() if sys.stdout.isatty() else None
    say = screen.write if screen else _to_stderr
    say(f"peerwatch: watching {peer.name}; status page {alerts_url(loaded.config)}, log {log}")
    with (
        Beside(loaded) as beside,
        screen or contextlib.nullcontext(),
        CopiedOutput(log, say if screen else None) as out,
    ):
        shown = _show(feed, screen, say, peer.name)

        def tick() -> None:
            beside.keep_running()
            next(shown)

        try:
            code = run_command(
                words,
                loaded.folder.peer(peer.name),
                environment=os.environ | {"PYTHONUNBUFFERED": "1"},
                output=out.descriptor,
                tick=tick,
            )
        except OSError as error:
            say(f"peerwatch: {words[0]}: {error.strerror}")
            return _EXIT_FAILED_TO_START
        if code not in (0, 130, 143):
            beside.wait_until(lambda: next(shown) and _is_delivered(feed), _DELIVERY_SECONDS)
    if out.is_within_line:
        _to_stderr("")
    _to_stderr(f"peerwatch: {peer.name} ended with exit code {code}")
    return code


def _show(feed: "Feed", screen: "Screen | None", say: Any, name: str) -> Iterator[bool]:
    """Shows the row and new events, at most once a second; whether an event has come so far."""
    from fleet.console.view import event_line, rows

    due, has_event = 0.0, False
    while True:
        if time.monotonic() >= due:
            due = time.monotonic() + 1.0
            for event in feed.new_events():
                has_event = True
                say(event_line(event))
            if screen is not None:
                screen.show(rows([name], feed.status(), []), time.time())
        yield has_event


def _is_delivered(feed: "Feed") -> bool:
    status = feed.status()
    return status is not None and not status["outbox"]["pending"]


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
