"""The pace against the watchdogs in use, on 504 simulated peer-weeks and on recorded runs."""

from collections.abc import Callable

import pytest

from tests.bench.stalls.judges import PACE, PACE_OF_STEPS, Score, judge
from tests.bench.stalls.traces import make_traces, read_recorded

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

SEEDS = (7, 8, 9, 10)
WEEKS_PER_SEED = 126


def test_no_watchdog_is_ahead_of_the_pace(record: Callable[..., None]) -> None:
    scores: dict[str, Score] = {}
    for seed in SEEDS:
        for name, score in judge(make_traces(WEEKS_PER_SEED, seed), seed).items():
            scores.setdefault(name, Score()).add(score)
    _report(record, f"Stall detection, {len(SEEDS) * WEEKS_PER_SEED} simulated peer-weeks", "peer-week", scores)
    pace = scores.pop(PACE)
    assert pace.alarms_per_trace <= 0.02
    assert pace.median_delay <= 5
    of_steps = scores.pop(PACE_OF_STEPS)
    assert of_steps.alarms_per_trace <= 0.02
    assert of_steps.median_delay <= 5
    for name, watchdog in scores.items():
        assert pace.alarms_per_trace < watchdog.alarms_per_trace, name
        assert pace.median_delay < watchdog.median_delay, name
        # A multiple of the median that is small enough to be quick gives false alarms on every peer with uneven steps.
        assert of_steps.alarms_per_trace < watchdog.alarms_per_trace, name


def test_recorded_runs_give_no_false_alarm(record: Callable[..., None]) -> None:
    scores = judge(read_recorded(), seed=7)
    _report(record, f"Stall detection, {scores[PACE].traces} recorded runs", "run", scores)
    assert scores[PACE].false_alarms == 0
    assert scores[PACE].median_delay < scores["5 min"].median_delay


def _report(record: Callable[..., None], subject: str, unit: str, scores: dict[str, Score]) -> None:
    for name, score in scores.items():
        ours = "below every watchdog's, at most 0.02 and 5" if name == PACE else "at most 0.02 and 5"
        goal = ours if name in (PACE, PACE_OF_STEPS) and unit == "peer-week" else ""
        value = f"{score.alarms_per_trace:.3f} false alarms per {unit}, median delay {score.median_delay:.1f} steps"
        record(subject, name, value, goal)
