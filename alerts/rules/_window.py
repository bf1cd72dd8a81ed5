"""What a rule keeps of the past: few samples, evenly spread, of the running process; and their trend. Pure."""

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Any, NamedTuple

from alerts.rules import View

# [time, value, ...]
Sample = list[float]

# The cost grows with the square of the points: 64 are 2016 pairs, half a millisecond.
MAX_POINTS = 64


def recall(view: View) -> dict[str, Any]:
    """The memory of the running trainer process; only its start once another one has begun."""
    started = view.page.value("trainer_start_timestamp_seconds") if view.page else None
    if view.memory and view.memory.get("started") == started:
        return dict(view.memory)
    return {"started": started}


def keep(samples: list[Sample], sample: Sample, *, every_seconds: float, window_seconds: float) -> list[Sample]:
    """The samples of the window with this one, if the last lies `every_seconds` back; else the same list.

    Samples in the future were taken before the clock was set back, and are dropped.
    """
    now = sample[0]
    if samples and 0 <= now - samples[-1][0] < every_seconds:
        return samples
    return [*(one for one in samples if now - window_seconds <= one[0] < now), sample]


def since(samples: list[Sample], moment: float) -> list[Sample]:
    """The samples from a moment on: times from before the clock was set cannot be compared with those after."""
    return [one for one in samples if one[0] >= moment]


class Trend(NamedTuple):
    """Change per second: the usual one, and one that three quarters of the pairs exceed; and the level at the end."""

    slope: float
    lower_slope: float
    level: float


def find_trend(points: Sequence[Sequence[float]]) -> Trend | None:
    """The trend of the last `MAX_POINTS` points (time, value); None of less than three at different times.

    By Theil and Sen, the median of the slopes between all pairs: up to a quarter of the points may lie anywhere (a
    checkpoint, a garbage collection) without moving it much.
    """
    points = points[-MAX_POINTS:]
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0])
    if len(points) < 3 or not slopes:
        return None
    slope = median(slopes)
    end = points[-1][0]
    level = median(value + slope * (end - at) for at, value in ((point[0], point[1]) for point in points))
    return Trend(slope, slopes[len(slopes) // 4], level)
