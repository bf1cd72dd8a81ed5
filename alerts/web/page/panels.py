"""The charts of one peer's page, from its history. Pure."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from alerts.history.query import Series
from alerts.history.summary import PHASES
from alerts.web.page.chart import Chart, Curve, Unit, Values

# What a page reads of the history.
METRICS = (
    *("steps_per_second", "steps_total", "memory_bytes", "memory_limit_bytes", "rank", "ranked_peers"),
    *("reward_mean", "reward_std", "entropy", "kl", "completion_tokens", "completions_cut_off", "loss"),
    *("cpu_seconds_total", "accelerator_utilization", "accelerator_process_memory_bytes", "accelerator_memory_bytes"),
    "start_timestamp",
    *(f"{phase}_seconds_total" for phase in PHASES),
)
# In the order in which they are stacked; nothing is a step while the trainer starts.
STEP_PHASES = ("generating", "training", "waiting", "saving")
# How far the forecast may go beyond now, as a share of what is shown.
OUTLOOK_SHARE = 0.15
# A rate is taken over so long: within one point there is one sample more or less.
_RATE_SECONDS = 150.0

Columns = Mapping[str, Values]


def make_charts(
    series: Series, peer: str, other: str = "", trend: Mapping[str, Any] | None = None, now: float = 0.0
) -> list[Chart]:
    """The charts of a peer, with those of another one over them. `trend` is the growth of memory that a rule found."""
    mine = series.values[peer]
    theirs = series.values[other] if other else {}
    builder = _Builder(series, theirs, other)
    builder.add("step_time", "seconds", _step_time(series, mine), _whole_step, is_from_zero=True)
    outlook = _outlook(trend, now, (series.times[-1] - series.times[0]) * OUTLOOK_SHARE) if trend else ()
    memory = [Curve("memory", "line", mine["memory_bytes"]), Curve("limit", "limit", mine["memory_limit_bytes"])]
    builder.add("memory", "bytes", memory, "memory_bytes", is_from_zero=True, outlook=outlook)
    rank = [Curve("rank", "line", mine["rank"]), Curve("ranked_peers", "", mine["ranked_peers"])]
    builder.add("rank", "count", rank, "rank", is_lower_better=True)
    builder.add("reward", "number", _reward(mine), "reward_mean")
    builder.add_plain("entropy", "number", mine)
    builder.add_plain("kl", "number", mine)
    builder.add_plain("completion_tokens", "count", mine)
    builder.add_plain("completions_cut_off", "share", mine)
    builder.add_plain("loss", "number", mine)
    cores = [Curve("cores", "line", _cores(series.times, mine))]
    builder.add("processor", "number", cores, lambda its: _cores(series.times, its), is_from_zero=True)
    builder.add_plain("accelerator_utilization", "share", mine, is_from_zero=True)
    held = "accelerator_process_memory_bytes"
    held = held if any(value is not None for value in mine[held]) else "accelerator_memory_bytes"
    accelerator = [Curve("accelerator_memory", "line", mine[held])]
    builder.add("accelerator_memory", "bytes", accelerator, held, is_from_zero=True)
    return builder.charts


class _Builder:
    """Collects charts, each with the other peer's curve where there is one."""

    def __init__(self, series: Series, theirs: Columns, other: str) -> None:
        self.charts: list[Chart] = []
        self._series = series
        self._theirs = theirs
        self._other = other

    def add_plain(self, name: str, unit: Unit, mine: Columns, **options: Any) -> None:
        self.add(name, unit, [Curve(name, "line", mine[name])], name, **options)

    def add(
        self,
        name: str,
        unit: Unit,
        curves: Sequence[Curve],
        other: str | Callable[[Columns], Values],
        **options: Any,
    ) -> None:
        """`other` is the metric that the other peer's curve shows, or makes its values."""
        if self._other:
            values = self._theirs[other] if isinstance(other, str) else other(self._theirs)
            curves = [*curves, Curve(name, "other", values, peer=self._other)]
        self.charts.append(Chart(name, unit, self._series.times, self._series.step, curves, **options))


def _step_time(series: Series, mine: Columns) -> list[Curve]:
    """The time of a step by phase; where no phases are known, from the rate of the steps."""
    by_phase = _seconds_per_step(mine)
    if not by_phase:
        return [Curve("step_time", "line", _whole_step(mine))]
    floor: list[float | None] = [None if value is None else 0.0 for value in next(iter(by_phase.values()))]
    curves = []
    for phase, seconds in by_phase.items():
        top = [None if low is None or value is None else low + value for low, value in zip(floor, seconds, strict=True)]
        curves.append(Curve(phase, phase, seconds, top, floor))
        floor = top
    return curves


def _whole_step(columns: Columns) -> Values:
    by_phase = _seconds_per_step(columns)
    if by_phase:
        return [
            None if values[0] is None else sum(v or 0.0 for v in values)
            for values in zip(*by_phase.values(), strict=True)
        ]
    return [1.0 / rate if rate else None for rate in columns["steps_per_second"]]


def _seconds_per_step(columns: Columns) -> dict[str, Values]:
    """By phase; empty where the trainer tells no phases."""
    known = [phase for phase in STEP_PHASES if any(columns[f"{phase}_seconds_total"])]
    totals = [columns[f"{phase}_seconds_total"] for phase in known]
    found: list[list[float | None]] = [[] for _ in known]
    before: tuple[float, list[float]] | None = None
    for steps, *seconds in zip_longest(columns["steps_total"], *totals):
        made: Sequence[float | None] = [None] * len(known)
        if steps is not None and any(one is not None for one in seconds):
            now = [one or 0.0 for one in seconds]
            if before is None or steps < before[0]:
                before = steps, now
            elif steps > before[0]:
                made = [max(0.0, b - a) / (steps - before[0]) for a, b in zip(before[1], now, strict=True)]
                before = steps, now
        for column, value in zip(found, made, strict=True):
            column.append(value)
    return {phase: column for phase, column in zip(known, found, strict=True) if any(v is not None for v in column)}


def _reward(mine: Columns) -> list[Curve]:
    mean, spread = mine["reward_mean"], mine["reward_std"]
    both = [(m, s) if m is not None and s is not None else None for m, s in zip(mean, spread, strict=True)]
    high = [one and one[0] + one[1] for one in both]
    low = [one and one[0] - one[1] for one in both]
    return [Curve("reward_std", "band", spread, high, low), Curve("reward", "line", mean)]


def _cores(times: Sequence[float], columns: Columns) -> Values:
    """Processors in use, from their time in total."""
    used: list[float | None] = []
    known: deque[tuple[float, float]] = deque()
    for at, total in zip(times, columns["cpu_seconds_total"], strict=True):
        if total is not None and known and total < known[-1][1]:
            known.clear()  # another process
        is_measured = total is not None and bool(known)
        used.append((total - known[0][1]) / (at - known[0][0]) if is_measured and total is not None else None)
        if total is not None:
            known.append((at, total))
        while len(known) > 1 and at - known[1][0] >= _RATE_SECONDS:
            known.popleft()
    return used


def _outlook(trend: Mapping[str, Any], now: float, seconds: float) -> tuple[tuple[float, float], ...]:
    """A straight line from now on; the rule has made sure that the growth is steady."""
    slope, level = trend.get("slope"), trend.get("level")
    if not isinstance(slope, int | float) or not isinstance(level, int | float) or slope <= 0:
        return ()
    return (now, level), (now + seconds, level + slope * seconds)
