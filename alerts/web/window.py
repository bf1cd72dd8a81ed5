"""What part of the past a peer's page shows: read from the address, as a time axis, as a query of the history. Pure."""

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from alerts.durations import parse_duration
from alerts.history.folding import LONG_SLOT_SECONDS
from alerts.history.query import Query
from alerts.history.summary import SLOT_SECONDS
from alerts.web.page.chart import Axis
from alerts.web.page.panels import METRICS, OUTLOOK_SHARE

SHORTEST_SECONDS = 300.0
LONGEST_SECONDS = 366 * 86400.0
DEFAULT_SPAN = "24h"
# Of a day these are the five minutes that summaries keep.
POINTS = 288


@dataclass(frozen=True)
class Window:
    """What part of the past is shown: `seconds` up to `until`, epoch seconds; None is now.

    `compare` is what is drawn over it: another peer, or, if `earlier` is not 0, the same so many seconds earlier.
    """

    seconds: float
    until: float | None = None
    compare: str = ""
    earlier: float = 0.0

    def address(self, peer: str, **changes: Any) -> str:
        """The address of this page with other parameters."""
        given: dict[str, Any] = {"span": self.seconds, "until": self.until, "compare": self.compare, **changes}
        query = {"span": f"{given['span']:.0f}s"}
        if given["until"] is not None:
            query["until"] = f"{given['until']:.0f}"
        if given["compare"]:
            query["compare"] = given["compare"]
        return f"{address_of(peer)}?{urlencode(query)}"


def address_of(peer: str) -> str:
    """The path of a peer's page."""
    return f"/peers/{quote(peer, safe='')}"


def read_window(given: Mapping[str, str], others: set[str]) -> Window:
    """The window that the address asks for; raises ValueError with the reason."""
    try:
        seconds = parse_duration(given.get("span", DEFAULT_SPAN))
    except ValueError as error:
        raise ValueError(f"span: {error}") from None
    until: float | None = None
    if given.get("until"):
        try:
            until = float(given["until"][:20])
        except ValueError:
            until = math.nan
        if not 0 < until < 1e11:
            raise ValueError("until: seconds since 1970")
    compare = given.get("compare", "")
    earlier = _read_earlier(compare) if compare and compare not in others else 0.0
    return Window(min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS), until, compare, earlier)


def _read_earlier(compare: str) -> float:
    """Seconds of a comparison with earlier times, such as `-7d`."""
    with contextlib.suppress(ValueError):
        if compare.startswith("-") and (seconds := parse_duration(compare[1:])) > 0:
            return seconds
    raise ValueError("compare: no other peer of this name, and no time such as -7d")


def make_axis(window: Window, now: float, has_outlook: bool) -> Axis:
    """The axis, with room for a forecast if there is one."""
    end = window.until if window.until is not None else now
    return Axis(end - window.seconds, end + (window.seconds * OUTLOOK_SHARE if has_outlook else 0.0), end)


def make_query(peer: str, window: Window, now: float, interval: float) -> Query:
    """What to read. Points are whole slots of the history, or whole evaluations, so that totals grow evenly."""
    end = window.until if window.until is not None else now
    least = max(window.seconds / POINTS, 2 * interval)
    unit = LONG_SLOT_SECONDS if least > LONG_SLOT_SECONDS else SLOT_SECONDS if least >= SLOT_SECONDS else interval
    step = math.ceil(round(least / unit, 6)) * unit
    points = max(1, math.ceil(round(window.seconds / step, 6)))
    peers = (peer, window.compare) if window.compare and not window.earlier else (peer,)
    return Query(peers, METRICS, end - points * step, end, points)


def make_earlier_query(query: Query, window: Window) -> Query:
    """The same so much earlier, in whole points, so that they lie over each other."""
    step = (query.until - query.since) / query.points
    seconds = max(1, round(window.earlier / step)) * step
    return query._replace(since=query.since - seconds, until=query.until - seconds)
