"""The watchdogs that operators use now: they see the age of the last log line, steps, saves and waits alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.bench.stalls.traces import Trace
from tests.bench.stalls.workload import COLLECTION_SECONDS, Series

if TYPE_CHECKING:
    from tests.bench.stalls.judges import Placed, Score

MEDIAN_WINDOW = 64
MINUTES = (5, 10, 15, 30)
# As DLRover judges: no step, and hardly any processor time.
IDLE = "10 min and processor under 5 %"
IDLE_SECONDS, IDLE_CORES = 600.0, 0.05
# NVRx allows five times the longest by default.
WATCHDOGS = (*(f"{minutes} min" for minutes in MINUTES), "3 x median", "6 x slowest", "5 x longest", IDLE)


def judge_watchdogs(trace: Trace, placed: Sequence[Placed], unit: float, scores: dict[str, Score]) -> None:
    """Adds what each of them does on a trace to its score; `unit` is the median step in seconds."""
    rests = np.concatenate(([0.0], (trace.saves + trace.waits)[:-1]))
    silences = trace.steps + rests
    limits = {f"{minutes} min": np.full(len(silences), 60.0 * minutes) for minutes in MINUTES}
    limits["3 x median"] = 3.0 * _rolling_median(silences)
    # The slowest of the latest steps, and the longest silence so far; the first step has nothing before it.
    limits["6 x slowest"] = 6.0 * _rolling_maximum(trace.steps)
    limits["5 x longest"] = 5.0 * np.concatenate(([np.inf], np.maximum.accumulate(silences)[:-1]))
    for name, allowed in limits.items():
        scores[name].false_alarms += int(np.sum(silences > allowed))
        for one in placed:
            scores[name].note(one.hang.kind, (float(allowed[one.step]) - float(rests[one.step]) - one.elapsed) / unit)
    _judge_idle(trace, silences, placed, unit, scores[IDLE])


def _judge_idle(trace: Trace, silences: Series, placed: Sequence[Placed], unit: float, score: Score) -> None:
    ends = np.cumsum(trace.steps + trace.saves + trace.waits) - trace.saves - trace.waits
    idle = np.concatenate((trace.activity.cores < IDLE_CORES, [False]))
    for index in np.flatnonzero(silences > IDLE_SECONDS):
        end = ends[index]
        first, last = np.searchsorted(trace.activity.ends, (end - silences[index] + COLLECTION_SECONDS, end))
        score.false_alarms += _longest_run(idle[first:last]) * COLLECTION_SECONDS >= IDLE_SECONDS
    for one in placed:
        is_idle = one.hang.uses[-1].cores < IDLE_CORES
        score.note(one.hang.kind, IDLE_SECONDS / unit if is_idle else np.inf)


def _longest_run(flags: np.ndarray) -> int:
    padded = np.concatenate(([False], flags, [False])).astype(int)
    edges = np.flatnonzero(np.diff(padded))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def _rolling_median(values: Series) -> Series:
    """Median of the steps before each one; the first ones, with nothing before them, have no limit."""
    medians = np.full(len(values), np.inf)
    if len(values) <= MEDIAN_WINDOW:
        return medians
    windows = sliding_window_view(values, MEDIAN_WINDOW)[:-1]
    for begin in range(0, len(windows), 50_000):
        chunk = windows[begin : begin + 50_000]
        medians[MEDIAN_WINDOW + begin : MEDIAN_WINDOW + begin + len(chunk)] = np.median(chunk, axis=1)
    return medians


def _rolling_maximum(values: Series) -> Series:
    """The longest of the 64 steps before each one, or of as many as there are."""
    padded = np.concatenate((np.full(MEDIAN_WINDOW, -np.inf), values))
    longest = np.max(sliding_window_view(padded, MEDIAN_WINDOW)[:-1], axis=1)
    longest[0] = np.inf
    return longest
