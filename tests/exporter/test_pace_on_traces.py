"""A fast form of the stall benchmark: the judgement holds on some weeks of every kind of peer."""

from tests.bench.stalls.judges import PACE, PACE_OF_STEPS, judge
from tests.bench.stalls.traces import make_traces, read_recorded


def test_weeks_of_every_kind_of_peer_give_no_alarm_and_hangs_are_seen_within_five_steps():
    scores = judge(make_traces(21, seed=3, shortest=10.0), seed=3)
    for name in (PACE, PACE_OF_STEPS):
        assert scores[name].false_alarms == 0, name
        assert scores[name].median_delay <= 5, name
    assert scores[PACE].median_delay < min(scores[PACE_OF_STEPS].median_delay, scores["3 x median"].median_delay)


def test_recorded_runs_give_no_alarm():
    score = judge(read_recorded(), seed=3)[PACE]
    assert score.traces > 0
    assert score.false_alarms == 0
