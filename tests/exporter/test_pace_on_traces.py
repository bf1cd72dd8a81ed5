"""A fast form of the stall benchmark: the judgement holds on a day of every kind of peer, and on recorded runs."""

from itertools import chain

import pytest

from tests.bench.stalls.judges import OURS, OURS_OF_STEPS, PACE, Score, judge
from tests.bench.stalls.recordings import STOPPED, read_hangs, read_recorded
from tests.bench.stalls.regimes import make_regimes
from tests.bench.stalls.traces import make_traces, shorten
from tests.bench.stalls.workload import AT_REST

DAY_SECONDS = 86400.0


@pytest.fixture(scope="module")
def scores():
    traces = chain(make_traces(7, seed=3, shortest=20.0), make_regimes(6, seed=3, shortest=20.0))
    return judge((shorten(trace, DAY_SECONDS) for trace in traces), seed=3)


@pytest.mark.parametrize("name", [OURS, OURS_OF_STEPS])
def test_a_day_of_every_kind_of_peer_gives_no_alarm(scores, name):
    assert scores[name].false_alarms == 0


@pytest.mark.parametrize("name", [OURS, OURS_OF_STEPS])
def test_hangs_are_seen_within_four_steps_and_at_rest_within_two_and_a_half(scores, name):
    assert scores[name].delay(0.5) <= 4
    assert scores[name].delay(0.9) <= 10
    assert scores[name].delay(0.5, "rest") <= 2.5


def test_activity_is_what_makes_the_difference(scores):
    assert scores[OURS].false_alarms < scores[PACE].false_alarms
    assert scores[OURS].delay(0.5, "rest") < scores[PACE].delay(0.5, "rest")


@pytest.fixture(scope="module")
def recorded():
    return judge(read_recorded(), 3, read_hangs())[OURS_OF_STEPS]


def test_recorded_runs_give_no_alarm(recorded):
    assert recorded.traces >= 10
    assert recorded.false_alarms == 0


def test_a_run_stopped_by_a_signal_is_seen_sooner_than_others_at_rest(recorded):
    others = Score(delays={"": recorded.delays[AT_REST]})
    assert recorded.delay(0.5, STOPPED) < others.delay(0.5)
    assert recorded.delay(0.9, STOPPED) < others.delay(0.9)
