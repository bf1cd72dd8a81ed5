"""The curves of the status page."""

from alerts.web.page.sparkline import BUCKETS, HEIGHT, WIDTH, draw


def test_the_best_is_on_top() -> None:
    rate = draw([(0, 1.0), (100, 3.0)], 0, 100)
    rank = draw([(0, 1.0), (100, 3.0)], 0, 100, is_lower_better=True)
    assert rate is not None
    assert rank is not None
    assert (rate.path, rate.lowest, rate.highest) == (f"M0 {HEIGHT - 2}h1L{WIDTH - 1} 2", 1.0, 3.0)
    assert rank.path == f"M0 2h1L{WIDTH - 1} {HEIGHT - 2}"


def test_a_value_that_never_changes_is_a_line_through_the_middle() -> None:
    line = draw([(0, 5.0), (100, 5.0)], 0, 100)
    assert line is not None
    assert line.path == f"M0 {HEIGHT // 2}h1L{WIDTH - 1} {HEIGHT // 2}"


def test_noise_does_not_fill_the_height() -> None:
    line = draw([(0, 100.0), (100, 100.5)], 0, 100)
    assert line is not None
    heights = [int(point.split()[1].partition("h")[0]) for point in line.path[1:].split("L")]
    assert 0 < abs(heights[0] - heights[1]) <= 3


def test_a_pause_is_a_gap() -> None:
    curve = [(at, 1.0) for at in (*range(0, 200, 10), *range(700, 1000, 10))]
    line = draw(curve, 0, 1000)
    assert line is not None
    assert line.path.count("M") == 2


def test_points_that_come_seldom_are_one_line() -> None:
    line = draw([(at, float(at)) for at in range(0, 1001, 100)], 0, 1000)
    assert line is not None
    assert line.path.count("M") == 1


def test_a_long_curve_has_no_more_points_than_fit_and_ends_with_the_latest() -> None:
    line = draw([(at / 10, float(at)) for at in range(10_000)], 0, 1000)
    assert line is not None
    assert line.path.count("L") == BUCKETS - 1
    assert line.highest == 9999.0


def test_a_time_without_points_has_no_curve() -> None:
    assert draw([], 0, 100) is None
    assert draw([(500, 1.0)], 0, 100) is None
