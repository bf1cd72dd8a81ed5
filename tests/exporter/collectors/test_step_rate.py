"""The step rate is that between ends of steps, and falls to 0 when steps stop."""

import pytest

from exporter.collectors.step_rate import Collector, StepRate
from exporter.metrics import Sample
from exporter.textfile_reader import TextfileReader


def rate_after(observations):
    rate = StepRate()
    for steps, last_step in observations:
        rate.observe(steps, last_step)
    return rate


def test_one_observation_is_no_rate():
    assert rate_after([(10, 100.0)]).at(101.0) is None
    assert rate_after([(10, 100.0), (10, 100.0)]).at(105.0) is None


def test_the_rate_is_that_between_ends_of_steps():
    assert rate_after([(10, 100.0), (30, 110.0)]).at(110.3) == 2.0


def test_a_slow_peer_has_a_rate_between_its_steps():
    rate = rate_after([(1, 0.0), (2, 700.0), (3, 1400.0)])
    assert rate.at(1400.0) == rate.at(2000.0) == pytest.approx(1 / 700)


def test_the_rate_falls_once_a_step_is_overdue_and_ends_at_0():
    rate = rate_after([(0, 0.0), (100, 100.0)])
    falling = [rate.at(100.0 + silence) for silence in (0, 2, 20, 100, 290)]
    assert falling == sorted(falling, reverse=True)
    assert falling[0] == falling[1] == 1.0
    assert 0 < falling[-1] < 0.3
    assert rate.at(403.0) == 0.0


def test_only_the_last_minutes_count():
    rate = rate_after([(step, float(step)) for step in range(1000)] + [(1000 + n, 1000.0 + 10 * n) for n in range(60)])
    assert rate.at(1590.0) == pytest.approx(0.1, rel=0.05)


def test_memory_stays_bounded():
    rate = rate_after([(step, float(step)) for step in range(10_000)])
    assert len(rate._seen) < 310


@pytest.mark.parametrize("restarted", [(3, 200.0), (60, 90.0)])
def test_a_restarted_trainer_starts_a_new_rate(restarted):
    rate = rate_after([(10, 90.0), (50, 100.0), restarted])
    assert rate.at(201.0) is None
    rate.observe(restarted[0] + 10, restarted[1] + 10)
    assert rate.at(restarted[1] + 10) == 1.0


def test_the_rate_is_read_from_the_trainers_file(tmp_path):
    collector = Collector(TextfileReader(tmp_path))
    for now, steps, at in ((99.0, 0, None), (100.0, 10, 100.0), (105.0, 20, 105.0)):
        last = "" if at is None else f"trainer_last_step_timestamp_seconds {at}\n"
        (tmp_path / "trainer.prom").write_text(f"trainer_steps_total {steps}\n{last}")
        samples = collector.collect(now)
    assert samples == [Sample("trainer_steps_per_second", {}, 2.0)]
