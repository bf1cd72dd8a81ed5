"""`peerwatch alerts`: list, silence and acknowledge alerts, test routes, backtest rules."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from alerts.config import AlertsConfig
    from fleet.alert_loop.client import AlertClient

command = typer.Typer(
    help="List, silence and acknowledge alerts, test routes, and backtest rules.",
    epilog="Example: peerwatch alerts silence --rule PeerStalled --peer 'sly_*' --for 2h",
    no_args_is_help=True,
    rich_markup_mode=None,
)

File = Annotated[Path | None, typer.Option("-f", "--file", help="The fleet's configuration.")]
StateDir = Annotated[Path | None, typer.Option("--state-dir", help="As given to `up`.")]


@command.command("list")
def show(
    file: File = None,
    state_dir: StateDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List pending and firing alerts, and active silences.

    Example: peerwatch alerts list --json
    """

    def run(client: "AlertClient") -> int:
        current = client.alerts()
        if as_json:
            print(json.dumps({"alerts": current["alerts"], "silences": current["silences"]}, indent=2))
            return 0
        for alert in current["alerts"]:
            print(_alert_line(alert))
        for silence in current["silences"]:
            print(_silence_line(silence))
        if not current["alerts"]:
            print("no alerts")
        return 0

    return _with_loop(file, state_dir, run)


@command.command("test")
def send_test(
    route: Annotated[str | None, typer.Argument(help="The route's name; without it, every route.")] = None,
    file: File = None,
    state_dir: StateDir = None,
) -> int:
    """Send a test message by the alert routes, and a heartbeat by `deadman`. Exit status 1 if one is not delivered.

    Example: peerwatch alerts test phone
    """

    from fleet.console.view import printable

    def run(client: "AlertClient") -> int:
        results = client.test(route)
        for result in results:
            delivery = "delivered" if result["delivered"] else f"not delivered: {result['reason']}"
            # The loop bounds a reason; its end says what to do.
            print(printable(f"{result['route']}: {delivery}"))
        if all(result["route"] == "deadman" for result in results):
            print("no routes configured: alerts are shown in the terminal and on the status page only")
        return 0 if all(result["delivered"] for result in results) else 1

    return _with_loop(file, state_dir, run)


@command.command("silence")
def silence(
    rule: Annotated[str, typer.Option("--rule", help="The rule, or a pattern with * and ?.")] = "*",
    peer: Annotated[str, typer.Option("--peer", help="The peer, or a pattern.")] = "*",
    severity: Annotated[str, typer.Option("--severity", help="critical, warning or info.")] = "*",
    lasts: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long.")] = "1h",
    comment: Annotated[str, typer.Option("--comment", help="Why, for others.")] = "",
    end: Annotated[int | None, typer.Option("--end", metavar="NUMBER", help="End this silence instead.")] = None,
    file: File = None,
    state_dir: StateDir = None,
) -> int:
    """Silence matching alerts for a while. Those still firing at the end are notified then.

    Example: peerwatch alerts silence --rule PeerDown --peer amber --for 2h
    """
    if end is None and (rule, peer, severity) == ("*", "*", "*"):
        return _fail("--rule, --peer or --severity is required; --rule '?*' silences everything", 2)

    def run(client: "AlertClient") -> int:
        if end is not None:
            client.end_silence(end)
            print(f"silence {end} ended")
            return 0
        request = {"rule": rule, "peer": peer, "severity": severity, "lasts": lasts, "comment": comment}
        print(_silence_line(client.silence(request)))
        return 0

    return _with_loop(file, state_dir, run)


@command.command("ack")
def acknowledge(
    rule: Annotated[str, typer.Argument(help="The rule of the alerts, or a pattern.")],
    peer: Annotated[str, typer.Argument(help="The peer, or a pattern; without it, every peer.")] = "*",
    file: File = None,
    state_dir: StateDir = None,
) -> int:
    """Acknowledge firing alerts: no reminders and no escalation until they resolve.

    Example: peerwatch alerts ack PeerStalled amber
    """

    def run(client: "AlertClient") -> int:
        for alert in client.acknowledge(rule, peer):
            print(_clean(f"acknowledged {alert['rule']}: {alert['peer']}"))
        return 0

    return _with_loop(file, state_dir, run)


@command.command("backtest")
def backtest(
    since: Annotated[str, typer.Option("--since", metavar="DURATION", help="How far back.")] = "7d",
    file: File = None,
    state_dir: StateDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Replay the recorded history against the current rules, and compare with the alerts that fired.

    Example: peerwatch alerts backtest --since 7d -f peerwatch.yaml
    """
    from alerts.durations import parse_duration
    from alerts.history.store import FILE, FileError
    from fleet.configuration.source import load_usable

    try:
        seconds = parse_duration(since)
    except ValueError as error:
        return _fail(f"--since {since}: {error}", 2)
    try:
        loaded = load_usable(file, state_dir)
    except ValueError as error:
        return _fail(str(error), 2)
    config, path = loaded.composition.alerts, loaded.folder.alerts / FILE
    assert config is not None
    try:
        return _replay(path, config, seconds, as_json)
    except FileNotFoundError:
        return _fail(f"{path}: no history yet; the alert loop records it", 1)
    except FileError as error:
        return _fail(f"{path}: {error}", 1)


def _replay(path: Path, config: "AlertsConfig", seconds: float, as_json: bool) -> int:
    from alerts.backtest import replay as replaying
    from alerts.backtest.report import render, to_json

    now = time.time()
    slack = 2 * config.interval
    for step in replaying.run(path, config.rules, now - seconds, now, slack_seconds=slack):
        if isinstance(step, replaying.Backtest):
            print(json.dumps(to_json(step), indent=2) if as_json else _clean_lines(render(step)))
        elif sys.stderr.isatty():
            print(f"\r{step[0]} of {step[1]} replayed", end="\n" if step[0] == step[1] else "", file=sys.stderr)
    return 0


def _with_loop(file: Path | None, state_dir: Path | None, run: Callable[["AlertClient"], int]) -> int:
    from fleet.alert_loop.access import Access
    from fleet.alert_loop.client import AlertClient, AlertClientError
    from fleet.configuration.source import load_usable

    try:
        loaded = load_usable(file, state_dir)
    except ValueError as error:
        return _fail(str(error), 2)
    try:
        return run(AlertClient(Access.of(loaded)))
    except AlertClientError as error:
        return _fail(str(error), 1)


def _alert_line(alert: dict[str, Any]) -> str:
    marks = [mark for mark in ("silenced", "acknowledged") if alert.get(mark)]
    if alert.get("inhibited_by"):
        marks.append(f"inhibited by {alert['inhibited_by']}")
    state = ", ".join([alert["state"], alert["severity"], *marks])
    return _clean(f"{alert['rule']}: {alert['peer']} ({state}) {alert['summary']}")


def _silence_line(silence: dict[str, Any]) -> str:
    from alerts.messages.single import format_time

    what = f"rule {silence['rule']}, peer {silence['peer']}, severity {silence['severity']}"
    comment = f" ({silence['comment']})" if silence["comment"] else ""
    return _clean(f"silence {silence['id']}: {what}, until {format_time(silence['ends_at'])}{comment}")


def _clean(text: str) -> str:
    from fleet.console.view import clean

    return clean(text)


def _clean_lines(text: str) -> str:
    return "\n".join(_clean(line) for line in text.rstrip("\n").split("\n"))


def _fail(message: str, status: int) -> int:
    print(f"peerwatch: {_clean(message)}", file=sys.stderr)
    return status
