"""Scores stall detectors on traces: false alarms while the peer works, and the delay until a hang is detected."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from exporter.pace import Pace
from tests.bench.stalls.traces import Series, Trace

HANGS_PER_TRACE = 20
MEDIAN_WINDOW = 64
PACE, PACE_OF_STEPS = "pace of each phase", "pace of whole steps"


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

    def add(self, other: "Score") -> None:
        """Adds what the detector did on more traces."""
        self.traces += other.traces
        self.false_alarms += other.false_alarms
        self.delays += other.delays


def judge(traces: Iterable[Trace], seed: int) -> dict[str, Score]:
    """Scores of Peerwatch's pace and of the watchdogs that operators use now, on the same hangs.

    A hang begins at any instant of a step. Our trainers report their phases; a log shows only whole steps.
    """
    names = (PACE, PACE_OF_STEPS, "5 min", "10 min", "30 min", "3 x median")
    scores = {name: Score() for name in names}
    for index, trace in enumerate(traces):
        random = np.random.default_rng([seed, index])
        hangs = np.sort(random.choice(np.arange(1, len(trace.steps)), size=HANGS_PER_TRACE, replace=False))
        unit = float(np.median(trace.steps))
        elapsed = random.random(HANGS_PER_TRACE) * trace.steps[hangs]
        # A watchdog sees only the age of the last log line: steps, saves and waits alike.
        rests = np.concatenate(([0.0], (trace.saves + trace.waits)[:-1]))
        silences = trace.steps + rests
        for name, limits in _watchdogs(silences).items():
            _note(scores[name], silences > limits, (limits[hangs] - rests[hangs] - elapsed) / unit)
        for name, generating in ((PACE, trace.generating), (PACE_OF_STEPS, np.zeros(len(trace.steps)))):
            alarms, allowed = _pace(trace, generating, dict(zip(hangs.tolist(), elapsed.tolist(), strict=True)))
            _note(scores[name], alarms, np.array(allowed) / unit)
    return scores


def _watchdogs(silences: Series) -> dict[str, Series]:
    """The silence that each of them allows before each step."""
    fixed = {f"{minutes} min": np.full(len(silences), 60.0 * minutes) for minutes in (5, 10, 30)}
    return fixed | {"3 x median": 3 * _rolling_median(silences)}


def _note(score: Score, alarms: Series, delays: Series) -> None:
    score.traces += 1
    score.false_alarms += int(np.sum(alarms))
    # An alarm before the hang began is a false one, counted as such.
    score.delays.extend(np.maximum(delays, 0.0).tolist())


def _rolling_median(values: Series) -> Series:
    """Median of the steps before each one; the first ones, with nothing before them, have no limit."""
    medians = np.full(len(values), np.inf)
    windows = sliding_window_view(values, MEDIAN_WINDOW)[:-1]
    for begin in range(0, len(windows), 50_000):
        chunk = windows[begin : begin + 50_000]
        medians[MEDIAN_WINDOW + begin : MEDIAN_WINDOW + begin + len(chunk)] = np.median(chunk, axis=1)
    return medians


def _pace(trace: Trace, generating: Series, hangs: dict[int, float]) -> tuple[Series, list[float]]:
    """Alarms per step, and the delay until each hang is detected; `hangs` are seconds into a step, by step."""
    pace, alarms, delays = Pace(), np.zeros(len(trace.steps)), []
    rest = (trace.saves > pace.stall_after("saving")) | (trace.waits > pace.stall_after("waiting"))
    steps = zip(trace.starts.tolist(), generating.tolist(), (trace.steps - generating).tolist(), strict=True)
    for index, (starts, made, trained) in enumerate(steps):
        if starts:
            pace = Pace()
        to_make, to_train = pace.stall_after("generating"), pace.stall_after("training")
        if index in hangs:
            at = hangs[index]
            delays.append(to_make - at if at < made else to_train - (at - made))
        alarms[index] = (made > to_make) + (trained > to_train)
        if made:
            pace.add(made, "generating")
        pace.add(trained, "training")
    return alarms + rest, delays
