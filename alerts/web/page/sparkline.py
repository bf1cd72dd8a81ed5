"""A small curve as an SVG path."""

import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

# Points of a curve, (epoch seconds, value), oldest first.
Curve = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 96, 24
BUCKETS = 48
_MARGIN = 2
# The height stands for at least this share of the value: noise must not look like a drop.
_LEAST_RANGE = 0.05
# A line bridges this many median distances between points; a longer one is a gap.
_BRIDGED_DISTANCES = 3


class Sparkline(NamedTuple):
    """The path in a box of WIDTH by HEIGHT, and the lowest and highest value of what it shows."""

    path: str
    lowest: float
    highest: float


def draw(curve: Curve, begin: float, end: float, *, is_lower_better: bool = False) -> Sparkline | None:
    """The curve from `begin` to `end`, epoch seconds; None where it has no point there.

    Missing points are a gap in the line. A rank is drawn with the best place on top.
    """
    points = _thin(curve, begin, end)
    if not points:
        return None
    values = [value for _, value in points]
    lowest, highest = min(values), max(values)
    spare = max(0.0, _LEAST_RANGE * abs(highest) - (highest - lowest)) / 2
    top, bottom = highest + spare, lowest - spare
    if is_lower_better:
        top, bottom = bottom, top
    gap = _BRIDGED_DISTANCES * max(_median_distance(points), (end - begin) / BUCKETS)
    return Sparkline("".join(_trace(points, begin, end, top=top, bottom=bottom, gap=gap)), lowest, highest)


def _thin(curve: Curve, begin: float, end: float) -> list[tuple[float, float]]:
    """At most BUCKETS points: the last one of each span of equal length."""
    buckets = {}
    scale = BUCKETS / max(end - begin, 1e-9)
    for at, value in curve:
        if begin <= at <= end:
            buckets[min(int((at - begin) * scale), BUCKETS - 1)] = at, value
    return list(buckets.values())


def _median_distance(points: Sequence[tuple[float, float]]) -> float:
    distances = [later - earlier for (earlier, _), (later, _) in pairwise(points)]
    return statistics.median(distances) if distances else 0.0


def _trace(
    points: Sequence[tuple[float, float]], begin: float, end: float, *, top: float, bottom: float, gap: float
) -> Iterator[str]:
    room = HEIGHT - 2 * _MARGIN
    before = None
    for at, value in points:
        x = round((at - begin) / max(end - begin, 1e-9) * (WIDTH - 1))
        # A constant value is a line through the middle.
        y = _MARGIN + round((0.5 if top == bottom else (value - top) / (bottom - top)) * room)
        # A lone point would be invisible without a length.
        yield f"M{x} {y}h1" if before is None or at - before > gap else f"L{x} {y}"
        before = at
