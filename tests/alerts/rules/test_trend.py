"""The trend of noisy measurements."""

import random

import pytest

from alerts.rules._window import MAX_POINTS, find_trend


def test_a_straight_line_is_found() -> None:
    trend = find_trend([(at, 5 + 2 * at) for at in range(0, 100, 10)])
    assert trend == pytest.approx((2, 2, 185))


def test_a_quarter_of_wild_points_moves_it_little() -> None:
    chance = random.Random(7)
    points = [(at, at + chance.gauss(0, 0.5) + (500 if at % 5 == 0 else 0)) for at in range(40)]
    trend = find_trend(points)
    assert trend is not None
    assert trend.slope == pytest.approx(1, abs=0.1)


def test_level_noise_and_sawtooth_do_not_grow_steadily() -> None:
    chance = random.Random(7)
    for points in ([(at, chance.gauss(9, 1)) for at in range(48)], [(at, at % 6) for at in range(48)]):
        trend = find_trend(points)
        assert trend is not None
        assert trend.lower_slope <= 0


def test_too_little_is_no_trend() -> None:
    assert find_trend([(1, 2), (2, 3)]) is None
    assert find_trend([(1, 2)] * 10) is None


def test_only_the_last_points_count() -> None:
    points = [(at, -100 * at) for at in range(100)] + [(at, at) for at in range(100, 100 + MAX_POINTS)]
    trend = find_trend(points)
    assert trend is not None
    assert trend.slope == 1
