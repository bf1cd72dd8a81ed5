"""The judgement of silences against the watchdogs in use, by family: `make bench ARGS=tests/bench/test_stalls.py`.

The constants were chosen on the first family; the others only report.
"""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import reduce

import pytest

from tests.bench.stalls.judges import DETECTORS, OURS, OURS_OF_STEPS, PACE, Score, judge
from tests.bench.stalls.recordings import read_hangs, read_recorded
from tests.bench.stalls.regimes import make_regimes
from tests.bench.stalls.traces import make_traces

pytestmark = [pytest.mark.bench, pytest.mark.timeout(7200)]

SEEDS = tuple(range(7, 21))
# Of each kind of peer one or two: seven kinds in the one family, six in the other.
WEEKS_PER_SEED = 9
FAMILIES = {"log-normal and bimodal (fitted)": make_traces, "sudden regimes (held out)": make_regimes}
RECORDED = "recorded runs (held out)"


def judge_part(family: str, seed: int) -> dict[str, Score]:
    """The scores on the weeks of one seed."""
    return judge(FAMILIES[family](WEEKS_PER_SEED, seed), seed)


@pytest.fixture(scope="module")
def scores(record: Callable[..., None]) -> dict[str, dict[str, Score]]:
    found: dict[str, dict[str, Score]] = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for family in FAMILIES:
            found[family] = reduce(_add, pool.map(judge_part, [family] * len(SEEDS), SEEDS))
    found[RECORDED] = judge(read_recorded(), 7, read_hangs())
    for family, scored in found.items():
        _report(record, family, scored)
    return found


@pytest.mark.parametrize("family", [*FAMILIES, RECORDED])
@pytest.mark.parametrize("name", [OURS, OURS_OF_STEPS])
def test_alarms_are_rare_and_hangs_are_seen_soon(scores: dict[str, dict[str, Score]], family: str, name: str) -> None:
    score = scores[family][name]
    assert score.alarms_per_trace <= 0.02
    assert score.delay(0.5) <= 4
    assert score.delay(0.9) <= 10
    if family != RECORDED:
        assert score.delay(0.5, "rest") <= 2.5


@pytest.mark.parametrize("family", [*FAMILIES, RECORDED])
def test_no_watchdog_is_ahead(scores: dict[str, dict[str, Score]], family: str) -> None:
    ours = scores[family][OURS]
    for name in DETECTORS[4:]:
        other = scores[family][name]
        assert ours.alarms_per_trace <= other.alarms_per_trace or ours.delay(0.5) < other.delay(0.5), name


def _add(one: dict[str, Score], other: dict[str, Score]) -> dict[str, Score]:
    for name, score in one.items():
        score.add(other[name])
    return one


def _report(record: Callable[..., None], family: str, scores: dict[str, Score]) -> None:
    unit = "run" if family == RECORDED else "peer-week"
    subject = f"Stall detection: {scores[PACE].traces} {family.replace(' (', ', ').removesuffix(')')}"
    for name, score in scores.items():
        rests = f", {score.delay(0.5, 'rest'):.1f} at rest" if unit == "peer-week" else ""
        value = (
            f"{score.alarms_per_trace:.3f} false alarms per {unit}; delay in steps: "
            f"median {score.delay(0.5):.1f}{rests}, 90 % {score.delay(0.9):.1f}"
        )
        goal = "at most 0.02; 4, 2.5 at rest; 10" if name in (OURS, OURS_OF_STEPS) else ""
        record(subject, name, value, goal)
