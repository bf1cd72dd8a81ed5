"""`peerwatch doctor`: the problems of this machine, each with its remedy."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

_EXIT_STATUS = {"ok": 0, "failure": 1, "warning": 3}


def command(
    file: Annotated[Path | None, typer.Option("-f", "--file", help="The fleet's configuration.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    test_routes: Annotated[
        bool, typer.Option("--test-routes", help="Send a test message to each alert route.")
    ] = False,
    time_server: Annotated[
        str, typer.Option("--time-server", metavar="HOST[:PORT]", help="SNTP server to compare the clock with.")
    ] = "pool.ntp.org",
    state_dir: Annotated[Path | None, typer.Option("--state-dir", help="As given to `up`.")] = None,
    lists: Annotated[bool, typer.Option("--list", help="Print a table of the checks, and run none.")] = False,
) -> int:
    """Check this machine and fleet for what breaks peers, with remedies. Exit status 0: OK, 3: warnings, 1: failures.

    Example: peerwatch doctor -f peerwatch.yaml --test-routes
    """
    from fleet.configuration.source import load_usable
    from fleet.doctor.checks import discover
    from fleet.doctor.examination import examine
    from fleet.doctor.findings import Level
    from fleet.doctor.report import describe, line, table
    from fleet.doctor.site import Site

    if lists:
        print(table(discover()), end="")
        return 0
    try:
        loaded = load_usable(file, state_dir)
    except ValueError as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 2
    assert loaded.config is not None
    findings = []
    for name, finding in examine(Site(loaded, time_server=time_server, tests_routes=test_routes), discover()):
        findings.append((name, finding))
        if not as_json:
            print(line(name, finding, color=sys.stdout.isatty()), flush=True)
    worst = max((finding.level for _, finding in findings), default=Level.OK)
    if as_json:
        print(
            json.dumps(
                {"fleet": loaded.config.fleet, "worst": worst.describe(), "findings": describe(findings)}, indent=2
            )
        )
    return _EXIT_STATUS[worst.describe()]
