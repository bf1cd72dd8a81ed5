"""The judgement of silences against the watchdogs in use, by family: `make bench ARGS=tests/bench/test_stalls.py`.

The constants were chosen on the first family; the others only report.
"""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import reduce

import numpy as np
import pytest

from tests.bench.stalls.judges import OURS, OURS_OF_STEPS, Score, judge
from tests.bench.stalls.recordings import read_hangs, read_recorded
from tests.bench.stalls.regimes import make_regimes
from tests.bench.stalls.traces import make_traces
from tests.bench.stalls.watchdogs import WATCHDOGS
from tests.bench.stalls.workload import AT_REST

pytestmark = [pytest.mark.bench, pytest.mark.timeout(7200)]

# As many weeks without an alarm as it takes to show that there are at most 0.02 a week: 150 of each family.
SEEDS = tuple(range(201, 226))
# One of each kind of peer.
WEEKS_PER_SEED = {make_traces: 7, make_regimes: 6}
# Of shorter steps the floors decide, as the recorded ones show, and a week of them takes ten times as long to follow.
SHORTEST_SECONDS = 4.0
FITTED, REGIMES = "log-normal and bimodal, steps over 4 s, fitted on", "sudden regimes, steps over 4 s, held out"
RECORDED, RECORDED_SHORT = "recorded, held out, steps over 5 s", "recorded, held out, shorter steps"
FAMILIES = {FITTED: make_traces, REGIMES: make_regimes}
# Of shorter steps the floor decides, five seconds at rest and else ten, not the pace: nobody comes sooner for a step of
# half a second. So they are told in seconds too.
LONG_SECONDS = 5.0


def judge_part(family: str, seed: int) -> dict[str, Score]:
    """The scores on the weeks of one seed."""
    make = FAMILIES[family]
    return judge(make(WEEKS_PER_SEED[make], seed, SHORTEST_SECONDS), seed)


def judge_recorded(*, are_long: bool) -> dict[str, Score]:
    """The scores on the recorded runs of longer or of shorter steps."""
    traces = [trace for trace in read_recorded() if (np.median(trace.steps) >= LONG_SECONDS) == are_long]
    return judge(traces, SEEDS[0], read_hangs())


@pytest.fixture(scope="module", params=[*FAMILIES, RECORDED, RECORDED_SHORT])
def judged(request: pytest.FixtureRequest, record: Callable[..., None]) -> tuple[str, dict[str, Score]]:
    """A family, and what each detector did on it."""
    family = request.param
    if family in FAMILIES:
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            scores = reduce(_add, pool.map(judge_part, [family] * len(SEEDS), SEEDS))
    else:
        scores = judge_recorded(are_long=family == RECORDED)
    _report(record, family, scores)
    return family, scores


@pytest.mark.parametrize("name", [OURS, OURS_OF_STEPS])
def test_alarms_are_rare(judged: tuple[str, dict[str, Score]], name: str) -> None:
    assert judged[1][name].alarms_per_trace <= 0.02


def test_half_of_the_hangs_are_seen_within_four_steps(judged: tuple[str, dict[str, Score]]) -> None:
    family, scores = judged
    if family != RECORDED_SHORT:
        assert scores[OURS].delay(0.5) <= 4


def test_no_watchdog_is_ahead(judged: tuple[str, dict[str, Score]]) -> None:
    ours = judged[1][OURS]
    for name in WATCHDOGS:
        other = judged[1][name]
        assert ours.alarms_per_trace <= other.alarms_per_trace or ours.delay(0.5) < other.delay(0.5), name


def _add(one: dict[str, Score], other: dict[str, Score]) -> dict[str, Score]:
    for name, score in one.items():
        score.add(other[name])
    return one


def _report(record: Callable[..., None], family: str, scores: dict[str, Score]) -> None:
    unit = "peer-week" if family in FAMILIES else "run"
    subject = f"Stall detection: {family}"
    record(subject, f"{unit}s", f"{scores[OURS].traces}", "")
    for name, score in scores.items():
        value = (
            f"{score.alarms_per_trace:.3f} false alarms per {unit} (95 %: below {score.most_alarms_per_trace:.3f}); "
            f"delay in steps: median {score.delay(0.5):.1f}, 90 % {score.delay(0.9):.1f}, "
            f"median at rest {score.delay(0.5, AT_REST):.1f}"
        )
        is_ours, is_short = name in (OURS, OURS_OF_STEPS), family == RECORDED_SHORT
        if is_ours and is_short:
            median, late = (float(np.quantile(score.seconds, share)) for share in (0.5, 0.9))
            value += f"; in seconds: median {median:.0f}, 90 % {late:.0f}"
        record(subject, name, value, "at most 0.02; 4, 10, 2.5" if is_ours and not is_short else "")
        if is_ours and not is_short:
            for kind in sorted(score.delays):
                value = f"{len(score.delays[kind])} hangs: median {score.delay(0.5, kind):.1f}, "
                record(subject, f"{name}: {kind}", f"{value}90 % {score.delay(0.9, kind):.1f}", "")
