"""Renders the page's HTML: a shell, and fragments that can be replaced one by one."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from alerts.durations import parse_duration
from alerts.i18n import Language, Words, discover
from alerts.messages.single import format_time
from alerts.sizes import show_size
from alerts.web.page.arrangement import AS_CONFIGURED, LEAST_FILTERED, Arrangement, arrange
from alerts.web.page.assets import ASSETS, EDITION
from alerts.web.page.chart import HEIGHT as CHART_HEIGHT
from alerts.web.page.chart import WIDTH as CHART_WIDTH
from alerts.web.page.chart import Unit
from alerts.web.page.peer_view import PeerView
from alerts.web.page.rows import DAY_SECONDS, BoardRow, PeerRow
from alerts.web.page.sparkline import HEIGHT, WIDTH

_FOLDER = Path(__file__).parent
# How long a silence may last that somebody asks for on the page.
_SILENCE_CHOICES = ("1h", "4h", "12h", "1d", "7d")


@dataclass(frozen=True)
class Content:
    """What the page shows, at `now` in epoch seconds; alerts and events as in the API, newest event first.

    A notice is the key of its words, a database, and what is said of it.
    """

    fleet: str
    now: float
    evaluated_at: float
    is_healthy: bool
    stale_after: float
    peers: Sequence[PeerRow] = ()
    span: float = DAY_SECONDS
    alerts: Sequence[Mapping[str, Any]] = ()
    silences: Sequence[Any] = ()
    routes: Sequence[Any] = ()
    # The dead man's switch, as a route; None without one.
    heartbeat: Any = None
    events: Sequence[Mapping[str, Any]] = ()
    board: Sequence[BoardRow | None] = ()
    board_total: int = 0
    board_problem: str | None = None
    has_board: bool = False
    notices: Sequence[tuple[str, str, str]] = ()

    @property
    def has_machines(self) -> bool:
        """Whether the peers are on more than one machine."""
        return len({row.machine for row in self.peers}) > 1

    @property
    def firing(self) -> list[Mapping[str, Any]]:
        """Firing alerts that are neither silenced nor inhibited."""
        return [
            one for one in self.alerts if one["state"] == "firing" and not one["silenced"] and not one["inhibited_by"]
        ]


@dataclass(frozen=True)
class Shell:
    """The page around its fragments."""

    fragments: Mapping[str, str]
    title: str
    is_alarming: bool
    mark: str
    content: Content = field(repr=False)
    arrangement: Arrangement = AS_CONFIGURED


class Renderer:
    """Renders in one language and time zone. Every value is escaped."""

    def __init__(self, language: Language, zone: tzinfo | None) -> None:
        self._environment = _make_environment(language, zone)
        self._terms = discover()[language].terms

    def fragments(self, content: Content) -> dict[str, str]:
        """Each part of the page by the id of its element."""
        parts = {name: self._render(f"{name}.html", content=content) for name in _PARTS}
        for row in content.peers:
            parts[f"peer-{row.index}"] = self._render("peer.html", row=row, content=content)
        return parts

    def title(self, content: Content) -> str:
        """The title of the browser's tab."""
        count = len(content.firing)
        state = f"({count}) " if count else ""
        return f"{state}{content.fleet} · Peerwatch"

    def page(self, shell: Shell) -> str:
        parts = {name: Markup(text) for name, text in shell.fragments.items()}
        rows = [
            Markup(shell.fragments[f"peer-{row.index}"] if is_shown else _hide(shell.fragments[f"peer-{row.index}"]))
            for row, is_shown in arrange(shell.content.peers, shell.arrangement, self._terms)
        ]
        is_filtered = len(rows) >= LEAST_FILTERED or bool(shell.arrangement.text)
        values = {"parts": parts, "rows": rows, "is_filtered": is_filtered, "edition": EDITION}
        return self._render("page.html", shell=shell, content=shell.content, arrangement=shell.arrangement, **values)

    def peer_page(self, view: PeerView) -> str:
        """The page of one peer."""
        return self._render("peer_page.html", view=view, content=view, edition=EDITION)

    def _render(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(**values)


_PARTS = ("summary", "alerts", "silences", "board", "routes", "events", "evaluated", "span")


def _hide(row: str) -> str:
    return row.replace("<tr ", "<tr hidden ", 1)


def _make_environment(language: Language, zone: tzinfo | None) -> Environment:
    common = discover()[language]
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=show_number,
        size=show_size,
        duration=common.duration,
        span=lambda seconds: _show_span(seconds, common),
        time=lambda at: format_time(at, zone, common),
        moment=lambda at: _format(at, zone, "%H:%M:%S"),
        day=lambda at: _format(at, zone, "%m-%d %H:%M"),
        iso=_iso,
        offset=lambda at: _offset(at, zone),
        value=lambda value, unit: "–" if value is None else _shown_by_unit(common)[unit](value),
        translated=common.translate,
        path=lambda name: f"/peers/{quote(name, safe='')}",
        slug=lambda name: hashlib.sha256(name.encode()).hexdigest()[:8],
    )
    environment.globals.update(
        language=language,
        zone_name=getattr(zone, "key", ""),
        common=common,
        words=common.page,
        units=" ".join(common.units.get(unit, unit) for unit in ("d", "h", "min", "s")),
        assets=ASSETS,
        choices=[(choice, common.duration(parse_duration(choice))) for choice in _SILENCE_CHOICES],
        box=(WIDTH, HEIGHT),
        chart_box=(CHART_WIDTH, CHART_HEIGHT),
        shown=_SHOWN,
    )
    return environment


def _show_span(seconds: float, words: Words) -> str:
    """How far back curves go; a day is 24 h here."""
    unit, size = ("h", 3600) if seconds >= 2 * 3600 else ("min", 60)
    return f"{seconds / size:.0f} {words.units.get(unit, unit)}"


def show_number(value: float | None, digits: int = 2) -> str:
    """A rate or a reward, rounded for people; a dash where it was not measured."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits if abs(value) < 100 else 1}f}"


# How the extremes of a curve are shown.
_SHOWN: dict[str, Callable[[float], str]] = {
    "steps_per_second": show_number,
    "memory_bytes": show_size,
    "rank": lambda value: f"{value:.0f}",
    "reward_mean": lambda value: show_number(value, 3),
}


def _shown_by_unit(words: Words) -> Mapping[Unit, Callable[[float], str]]:
    """How the numbers of a chart are shown."""
    second = words.units.get("s", "s")
    return {
        "seconds": lambda value: f"{value:.3g} {second}" if value < 100 else words.duration(value),
        "bytes": show_size,
        "count": lambda value: f"{value:,.0f}",
        "number": lambda value: f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}",
        "share": lambda value: f"{value:.0%}",
    }


def _format(at: float, zone: tzinfo | None, form: str) -> str:
    try:
        return datetime.fromtimestamp(at).astimezone(zone).strftime(form)
    except (OverflowError, ValueError, OSError):
        return "–"


def _offset(at: float, zone: tzinfo | None) -> int:
    """Seconds by which local time is ahead of UTC."""
    offset = datetime.fromtimestamp(at).astimezone(zone).utcoffset()
    return round(offset.total_seconds()) if offset else 0


def _iso(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return ""
