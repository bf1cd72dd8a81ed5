"""Curves over a time axis as SVG paths, their scale, and a table of the same numbers. Pure.

A drawing is WIDTH by HEIGHT and is stretched to the screen's width, so that texts are placed beside it, in per cent of
its width.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise
from typing import Literal, NamedTuple

Values = Sequence[float | None]
Unit = Literal["seconds", "bytes", "count", "number", "share"]

WIDTH, HEIGHT = 1000, 120
# Rows of the table behind a chart.
MAX_ROWS = 24
_MARGIN = 6
# The height stands for at least this share of the value: noise must not look like a drop.
_LEAST_RANGE = 0.05
# A line bridges this many median distances between points; a longer one is a gap.
_BRIDGED_DISTANCES = 3
_TICKS = 3
_TIME_TICKS = 6
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_TIME_STEPS = (
    *(count * _MINUTE for count in (1, 2, 5, 10, 15, 30)),
    *(count * _HOUR for count in (1, 2, 4, 6, 12)),
    *(count * _DAY for count in (1, 2, 5, 10, 30, 90, 365)),
)


class Axis(NamedTuple):
    """The time axis, epoch seconds; what is later than `now` is a forecast."""

    begin: float
    end: float
    now: float

    def place(self, at: float, width: float = WIDTH) -> float:
        """Where a moment lies between 0 and `width`, or beyond them."""
        return (at - self.begin) / max(self.end - self.begin, 1e-3) * width


class Curve(NamedTuple):
    """Values by the name of their words, or by the name of another peer; `style` is a class of the style sheet.

    Drawn is `top` instead of the values where it is given, as a band down to `floor` where that is. Without a style
    the values are told and not drawn.
    """

    name: str
    style: str
    values: Values
    top: Values | None = None
    floor: Values | None = None
    peer: str = ""


@dataclass(frozen=True)
class Chart:
    """What to draw: curves of one unit at the same `times`, each standing for the `step` seconds after it.

    `outlook` is a straight line into the future.
    """

    name: str
    unit: Unit
    times: Sequence[float]
    step: float
    curves: Sequence[Curve]
    is_from_zero: bool = False
    is_lower_better: bool = False
    outlook: Sequence[tuple[float, float]] = ()


class DrawnCurve(NamedTuple):
    """A curve with its path, its latest value, and its values as short text, separated by commas."""

    name: str
    style: str
    path: str
    is_band: bool
    latest: float | None
    data: str
    peer: str


class Tick(NamedTuple):
    """A line of the grid, in units of the drawing, and its value."""

    place: float
    value: float


@dataclass(frozen=True)
class Drawing:
    """A chart that is drawn; `rows` are times with a value for each curve, and the extremes are those of the peer."""

    name: str
    unit: Unit
    curves: Sequence[DrawnCurve]
    ticks: Sequence[Tick]
    rows: Sequence[tuple[float, Sequence[float | None]]]
    lowest: float
    highest: float
    outlook: str = ""


class TimeTick(NamedTuple):
    """A moment on the time axis, in per cent of its length, and its text."""

    percent: float
    text: str


def draw(chart: Chart, axis: Axis) -> Drawing | None:
    """The chart's drawing; None where nothing was measured."""
    if not any(value is not None for curve in chart.curves for value in curve.values):
        return None
    height = _Height(chart)
    own = [
        value
        for curve in chart.curves
        if not curve.peer and curve.style not in ("", "limit")
        for value in curve.top or curve.values
        if value is not None
    ] or [0.0]
    return Drawing(
        chart.name,
        chart.unit,
        [_draw_curve(curve, chart, axis, height) for curve in chart.curves if any(v is not None for v in curve.values)],
        [Tick(round(height.place(value), 1), value) for value in height.ticks],
        _rows(chart),
        min(own),
        max(own),
        _path(((axis.place(at), height.place(value)) for at, value in chart.outlook), 2 * WIDTH),
    )


def time_ticks(axis: Axis, zone: tzinfo | None) -> list[TimeTick]:
    """Round local times along the axis, as many as a phone has room for."""
    seconds = axis.end - axis.begin
    step = next((one for one in _TIME_STEPS if seconds / one <= _TIME_TICKS), _TIME_STEPS[-1])
    ticks = []
    # Local midnights and full hours are where the zone's distance from UTC puts them.
    offset = _local(axis.begin, zone).utcoffset()
    shift = offset.total_seconds() if offset else 0.0
    at = math.ceil((axis.begin + shift) / step) * step - shift
    while at <= axis.end:
        local, percent = _local(at, zone), axis.place(at, 100)
        # A text at the edge would be cut.
        if 4 <= percent <= 96:
            is_day = step >= _DAY or (local.hour, local.minute) == (0, 0)
            ticks.append(TimeTick(round(percent, 2), local.strftime("%m-%d" if is_day else "%H:%M")))
        at += step
    return ticks


def _local(at: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at).astimezone(zone)


class _Height:
    """The scale of a chart's values."""

    def __init__(self, chart: Chart) -> None:
        values = [
            value
            for curve in chart.curves
            if curve.style
            for column in (curve.top if curve.top is not None else curve.values, curve.floor or ())
            for value in column
            if value is not None
        ]
        lowest, highest = min(values, default=0.0), max(values, default=1.0)
        if chart.is_from_zero:
            lowest = min(0.0, lowest)
        spare = max(0.0, _LEAST_RANGE * max(abs(highest), abs(lowest)) - (highest - lowest)) / 2 or 1e-9
        bottom, top = (lowest, highest + spare) if chart.is_from_zero else (lowest - spare, highest + spare)
        self.ticks = _find_ticks(lowest if chart.is_from_zero else bottom, top, chart.unit)
        self._top, self._bottom = (bottom, top) if chart.is_lower_better else (top, bottom)

    def place(self, value: float) -> float:
        """Where a value lies, from the top."""
        return _MARGIN + (value - self._top) / (self._bottom - self._top) * (HEIGHT - 2 * _MARGIN)


def _find_ticks(bottom: float, top: float, unit: Unit) -> list[float]:
    """Round values between the two."""
    wanted = (top - bottom) / _TICKS
    if not wanted > 0 or not math.isfinite(wanted):
        return []
    if unit == "bytes":
        step = 2.0 ** math.ceil(math.log2(wanted))
    else:
        power = 10.0 ** math.floor(math.log10(wanted))
        step = next(factor * power for factor in (1, 2, 5, 10, 20) if factor * power >= wanted)
    if unit == "count":
        step = max(1.0, step)
    first = math.ceil(bottom / step)
    return [number * step for number in range(first, first + _TICKS + 1) if number * step <= top]


def _draw_curve(curve: Curve, chart: Chart, axis: Axis, height: _Height) -> DrawnCurve:
    values = curve.values
    drawn = curve.top if curve.top is not None else values
    path = ""
    if curve.style:
        places = [axis.place(min(at + chart.step / 2, axis.now)) for at in chart.times]
        points = [(x, height.place(value)) for x, value in zip(places, drawn, strict=True) if value is not None]
        gap = _BRIDGED_DISTANCES * max(_median_distance(points), axis.place(axis.begin + chart.step))
        if curve.floor is None:
            path = _path(points, gap)
        else:
            under = [(x, height.place(low)) for x, low in zip(places, curve.floor, strict=True) if low is not None]
            path = "".join(_bands(points, under, gap))
    latest = next((value for value in reversed(values) if value is not None), None)
    data = ",".join("" if value is None else f"{value:.5g}" for value in values)
    return DrawnCurve(curve.name, curve.style, path, curve.floor is not None, latest, data, curve.peer)


def _bands(points: Sequence[tuple[float, float]], under: Sequence[tuple[float, float]], gap: float) -> Iterator[str]:
    """A closed area for each stretch without a gap."""
    begin = 0
    for end in range(1, len(points) + 1):
        if end == len(points) or points[end][0] - points[end - 1][0] > gap:
            edge = [*points[begin:end], *reversed(under[begin:end])]
            yield f"{_path(edge, math.inf)}Z"
            begin = end


def _path(points: Sequence[tuple[float, float]] | Iterator[tuple[float, float]], gap: float) -> str:
    parts: list[str] = []
    before = None
    for x, y in points:
        # A lone point would be invisible without a length.
        parts.append(f"M{x:.0f} {y:.1f}h1" if before is None or x - before > gap else f"L{x:.0f} {y:.1f}")
        before = x
    return "".join(parts)


def _median_distance(points: Sequence[tuple[float, float]]) -> float:
    distances = [later[0] - earlier[0] for earlier, later in pairwise(points)]
    return statistics.median(distances) if distances else 0.0


def _rows(chart: Chart) -> Sequence[tuple[float, Sequence[float | None]]]:
    """The times with a measured value, thinned, the latest first."""
    curves = [curve.values for curve in chart.curves if any(value is not None for value in curve.values)]
    rows = [
        (at, values)
        for at, values in zip(chart.times, zip(*curves, strict=True), strict=True)
        if any(value is not None for value in values)
    ]
    every = max(1, math.ceil(len(rows) / MAX_ROWS))
    return rows[::-1][::every]
