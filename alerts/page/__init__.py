"""The status page: plain HTML made on the server, readable without scripts, on a phone and in the dark."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from alerts.durations import describe_duration
from alerts.messages import format_time

_FOLDER = Path(__file__).parent
_GIB = 2**30
STYLE = (_FOLDER / "page.css").read_text(encoding="utf-8")


def render_page(
    status: dict[str, Any],
    *,
    events: Sequence[dict[str, Any]],
    routes: Sequence[Any],
    silences: Sequence[Any],
    is_healthy: bool,
) -> str:
    """The page for what /api/status tells, with the newest event first. Every value is escaped."""
    template = _ENVIRONMENT.get_template("page.html")
    return template.render(
        status=status, events=events, routes=routes, silences=silences, is_healthy=is_healthy, now=time.time()
    )


def _show_number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _show_memory(value: float | None) -> str:
    return "–" if value is None else f"{value / _GIB:.2f} GiB"


def _make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_show_number, memory=_show_memory, duration=describe_duration, time=format_time)
    return environment


_ENVIRONMENT = _make_environment()
