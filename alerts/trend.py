"""The trend of noisy measurements by Theil and Sen: the median of the slopes between all pairs. Pure.

Up to a quarter of the points may lie anywhere (a checkpoint, a garbage collection) without moving it much.
"""

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import NamedTuple

# The cost grows with the square of the points: 64 are 2016 pairs, half a millisecond.
MAX_POINTS = 64


class Trend(NamedTuple):
    """Change per second: the usual one, and one that three quarters of the pairs exceed; and the level at the end."""

    slope: float
    lower_slope: float
    level: float


def find_trend(points: Sequence[Sequence[float]]) -> Trend | None:
    """The trend of the last `MAX_POINTS` points (time, value); None of less than three at different times."""
    points = points[-MAX_POINTS:]
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0])
    if len(points) < 3 or not slopes:
        return None
    slope = median(slopes)
    end = points[-1][0]
    level = median(value + slope * (end - at) for at, value in ((point[0], point[1]) for point in points))
    return Trend(slope, slopes[len(slopes) // 4], level)
