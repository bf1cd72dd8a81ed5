"""The panels and queries of the generated dashboards, as Grafana would send them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

DASHBOARDS = Path(__file__).parents[2] / "grafana" / "dashboards"
# What Grafana substitutes for "All" and for its own variables, at a scrape interval of 2 s.
VARIABLES = {"$fleet": ".+", "$peer": ".+", "$__rate_interval": "8s", "$__interval": "8s"}


class PanelQuery(NamedTuple):
    """One query: its dashboard and panel, and its PromQL with the variables filled in."""

    board: str
    panel: str
    expression: str
    is_instant: bool

    @property
    def title(self) -> str:
        return f"{self.board}: {self.panel}"


def boards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel, including those of collapsed rows, without the rows."""
    for panel in board["panels"]:
        if panel["type"] != "row":
            yield panel
        yield from panel.get("panels") or []


def queries() -> list[PanelQuery]:
    """All queries of all panels and annotations."""
    found = []
    for name, board in boards().items():
        for panel in panels(board):
            for target in panel["targets"]:
                found.append(
                    PanelQuery(name, panel["title"], fill_variables(target["expr"]), bool(target.get("instant")))
                )
        for annotation in board["annotations"]["list"]:
            found.append(
                PanelQuery(name, f"annotation {annotation['name']}", fill_variables(annotation["expr"]), False)
            )
    return found


def fill_variables(expression: str) -> str:
    """The expression with its variables filled in."""
    for variable, value in sorted(VARIABLES.items(), key=lambda item: -len(item[0])):
        expression = expression.replace(variable, value)
    assert "$" not in expression, expression
    return expression


def names_in(expression: str) -> set[str]:
    """The series that an expression selects; our selectors all have braces."""
    return set(re.findall(r"([a-zA-Z_][a-zA-Z0-9_]*)\{", expression))
