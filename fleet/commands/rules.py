"""`peerwatch rules`: the alert rules, for other software that evaluates them."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Form(StrEnum):
    """What can be printed."""

    prometheus = "prometheus"


def command(
    form: Annotated[Form, typer.Argument(help="prometheus: a rule file for Prometheus 2.42 or later.")],
    file: Annotated[Path | None, typer.Option("-f", "--file", help="The configuration with your thresholds.")] = None,
) -> int:
    """Print the alert rules with your thresholds, as a file that Prometheus loads.

    Example: peerwatch rules prometheus -f peerwatch.yaml > rules.yaml
    """
    from alerts.prometheus import render_rules
    from fleet.source import load

    try:
        loaded = load(file)
    except ValueError as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 2
    if not loaded.is_usable or loaded.composition.alerts is None:
        for line in loaded.lines():
            print(line, file=sys.stderr)
        return 2
    print(render_rules(loaded.composition.alerts.rules), end="")
    return 0
