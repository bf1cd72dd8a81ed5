"""Charts as SVG paths: scale, gaps, bands, ticks, tables."""

from datetime import UTC

import pytest

from alerts.web.page.chart import HEIGHT, MAX_ROWS, WIDTH, Axis, Chart, Curve, draw, time_ticks

AXIS = Axis(0.0, 100.0, 100.0)


def make_chart(*curves, **changes):
    return Chart(
        **{"name": "memory", "unit": "number", "times": range(0, 100, 10), "step": 10.0, "curves": curves, **changes}
    )


def points(path):
    return [tuple(map(float, one.split("h")[0].split())) for one in path.replace("M", "L").strip("LZ").split("L")]


def test_a_curve_goes_from_left_to_right_and_higher_values_are_higher():
    drawing = draw(make_chart(Curve("a", "line", [float(n) for n in range(10)])), AXIS)
    found = points(drawing.curves[0].path)
    assert [x for x, _ in found] == [WIDTH * (n + 0.5) / 10 for n in range(10)]
    assert [y for _, y in found] == sorted((y for _, y in found), reverse=True)
    assert all(0 <= y <= HEIGHT for _, y in found)
    assert (drawing.lowest, drawing.highest, drawing.curves[0].latest) == (0.0, 9.0, 9.0)


def test_a_rank_is_drawn_with_the_best_place_on_top():
    drawing = draw(make_chart(Curve("a", "line", [1.0] * 5 + [9.0] * 5), unit="count", is_lower_better=True), AXIS)
    found = points(drawing.curves[0].path)
    assert found[0][1] < found[-1][1]
    assert all(tick.value == int(tick.value) for tick in drawing.ticks)


def test_what_was_not_measured_is_a_gap_and_a_chart_without_values_is_none():
    values = [1.0, 2.0, None, None, None, None, 3.0, 4.0, 5.0, 6.0]
    drawing = draw(make_chart(Curve("a", "line", values)), AXIS)
    assert drawing.curves[0].path.count("M") == 2
    assert drawing.curves[0].data == "1,2,,,,,3,4,5,6"
    assert [value for _, (value,) in drawing.rows] == [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    assert draw(make_chart(Curve("a", "line", [None] * 10)), AXIS) is None


def test_a_band_is_closed_and_an_unseen_curve_is_told_only():
    low, high = [1.0] * 10, [2.0] * 10
    curves = Curve("a", "band", [0.5] * 10, high, low), Curve("b", "", [7.0] * 10)
    drawing = draw(make_chart(*curves), AXIS)
    band, unseen = drawing.curves
    assert (band.is_band, band.path.count("M"), band.path[-1], len(points(band.path))) == (True, 1, "Z", 20)
    assert (unseen.path, unseen.latest) == ("", 7.0)
    assert drawing.highest == 2.0


@pytest.mark.parametrize("value", [0.0, 1e-300, -3.0, 1e300, 5e-5])
def test_a_constant_has_a_scale(value):
    drawing = draw(make_chart(Curve("a", "line", [value] * 10)), AXIS)
    assert all(0 <= y <= HEIGHT for _, y in points(drawing.curves[0].path))


def test_a_table_is_as_short_as_people_read_it():
    values = [float(n) for n in range(1000)]
    rows = draw(make_chart(Curve("a", "line", values), times=range(1000), step=1.0), Axis(0, 1000, 1000)).rows
    assert len(rows) <= MAX_ROWS
    assert rows[0] == (999, (999.0,))


@pytest.mark.parametrize(
    ("hours", "texts"),
    [
        (1, ["23:40", "23:50", "01-02", "00:10", "00:20"]),
        (24, ["04:00", "08:00", "12:00", "16:00", "20:00"]),
        (24 * 30, ["12-08", "12-13", "12-18", "12-23", "12-28"]),
    ],
)
def test_times_are_round_and_a_midnight_is_a_day(hours, texts):
    end = 1767313800.0  # 2026-01-02 00:30 UTC
    ticks = time_ticks(Axis(end - hours * 3600, end, end), UTC)
    assert [tick.text for tick in ticks] == texts
    assert [tick.percent for tick in ticks] == sorted(tick.percent for tick in ticks)
