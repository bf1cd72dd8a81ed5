"""`peerwatch rules`: the alert rules and routes, for Prometheus and Alertmanager."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alerts.config import AlertsConfig


class Form(StrEnum):
    """The format to print."""

    prometheus = "prometheus"
    alertmanager = "alertmanager"


def command(
    form: Annotated[Form, typer.Argument(help="Prometheus 2.42's rule file, or Alertmanager 0.25's configuration.")],
    file: Annotated[Path | None, typer.Option("-f", "--file", help="The fleet's configuration.")] = None,
) -> int:
    """Print the alert rules for Prometheus, or the routes for Alertmanager without their secrets.

    Example: peerwatch rules prometheus -f peerwatch.yaml > rules.yaml
    """
    from fleet.configuration.source import load

    try:
        loaded = load(file)
    except ValueError as error:
        print(f"peerwatch: {error}", file=sys.stderr)
        return 2
    if not loaded.is_usable or loaded.composition.alerts is None:
        for line in loaded.lines():
            print(line, file=sys.stderr)
        return 2
    print(_render(form, loaded.composition.alerts), end="")
    return 0


def _render(form: Form, alerts: "AlertsConfig") -> str:
    if form is Form.prometheus:
        from alerts.export.prometheus import render_rules

        return render_rules(alerts.rules, [route.after for route in alerts.routes if route.after])
    # Loads apprise, which takes a third of a second.
    from alerts.export.alertmanager import render_alertmanager

    return render_alertmanager(alerts)
