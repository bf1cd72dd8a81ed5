"""How a stall detector fares on traces: what it calls a stall though the peer works, and how late it sees a hang."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from exporter.pace import Pace
from tests.bench.stalls.traces import Series, Trace

HANGS_PER_TRACE = 20
MEDIAN_WINDOW = 64


@dataclass
class Score:
    """What one detector did on a set of traces; delays in median steps of the peer."""

    traces: int = 0
    false_alarms: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def alarms_per_trace(self) -> float:
        return self.false_alarms / self.traces

    @property
    def median_delay(self) -> float:
        return float(np.median(self.delays))

    def take_in(self, other: "Score") -> None:
        """Adds what the detector did on more traces."""
        self.traces += other.traces
        self.false_alarms += other.false_alarms
        self.delays += other.delays


def judge(traces: Iterable[Trace], seed: int) -> dict[str, Score]:
    """Scores of Peerwatch's pace and of the watchdogs that operators use now, on the same hangs."""
    names = ("pace", "5 min", "10 min", "30 min", "3 x median")
    scores = {name: Score() for name in names}
    for index, trace in enumerate(traces):
        random = np.random.default_rng([seed, index])
        hangs = np.sort(random.integers(1, len(trace.steps), size=HANGS_PER_TRACE))
        unit = float(np.median(trace.steps))
        # A watchdog sees only the age of the last log line: steps, saves and waits alike.
        silences = trace.steps + np.concatenate(([0.0], (trace.saves + trace.waits)[:-1]))
        for minutes in (5, 10, 30):
            _note(scores[f"{minutes} min"], silences > minutes * 60, np.full(len(hangs), minutes * 60 / unit))
        limits = 3 * _rolling_median(silences)
        _note(scores["3 x median"], silences > limits, limits[hangs] / unit)
        alarms, allowed = _pace(trace, set(hangs.tolist()))
        _note(scores["pace"], alarms, np.array(allowed) / unit)
    return scores


def _note(score: Score, alarms: Series, delays: Series) -> None:
    score.traces += 1
    score.false_alarms += int(np.sum(alarms))
    score.delays.extend(delays.tolist())


def _rolling_median(values: Series) -> Series:
    """Median of the steps before each one; the first ones, with nothing before them, have no limit."""
    medians = np.full(len(values), np.inf)
    windows = sliding_window_view(values, MEDIAN_WINDOW)[:-1]
    for begin in range(0, len(windows), 50_000):
        chunk = windows[begin : begin + 50_000]
        medians[MEDIAN_WINDOW + begin : MEDIAN_WINDOW + begin + len(chunk)] = np.median(chunk, axis=1)
    return medians


def _pace(trace: Trace, hangs: set[int]) -> tuple[Series, list[float]]:
    """Alarms a step, and what the pace allowed at each hang."""
    pace, alarms, allowed = Pace(), np.zeros(len(trace.steps)), []
    saving, waiting = pace.stall_after("saving"), pace.stall_after("waiting")
    rest = (trace.saves > saving) | (trace.waits > waiting)
    for index, (step, starts) in enumerate(zip(trace.steps.tolist(), trace.starts.tolist(), strict=True)):
        if starts:
            pace = Pace()
        budget = pace.stall_after("training")
        if index in hangs:
            allowed.append(budget)
        alarms[index] = step > budget
        pace.add(step)
    return alarms + rest, allowed + [allowed[-1]] * (HANGS_PER_TRACE - len(allowed))
