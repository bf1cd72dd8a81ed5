"""The charts of a peer's page, and the marks over them, from its history."""

import pytest

from alerts.history.query import Series
from alerts.history.store import Firing
from alerts.web.page.chart import HEIGHT, Axis, draw
from alerts.web.page.marks import MAX_LISTED, draw_marks, find_marks
from alerts.web.page.panels import METRICS, make_charts

AXIS = Axis(0.0, 60.0, 60.0)


def make_series(**columns):
    length = len(next(iter(columns.values())))
    mine = {metric: columns.get(metric, [None] * length) for metric in METRICS}
    return Series([10.0 * n for n in range(length)], 10.0, {"a": mine, "b": mine}, {}, {})


def curves_of(series, name, **options):
    (chart,) = [one for one in make_charts(series, "a", **options) if one.name == name]
    return {curve.peer or curve.name: curve for curve in chart.curves}


def test_the_time_of_a_step_is_that_of_its_phases_stacked_also_over_a_restart():
    series = make_series(
        steps_total=[10.0, 12.0, 12.0, 14.0, 1.0, 3.0],
        generating_seconds_total=[100.0, 106.0, 109.0, 112.0, 2.0, 8.0],
        training_seconds_total=[50.0, 52.0, 53.0, 54.0, 1.0, 3.0],
    )
    curves = curves_of(series, "step_time")
    assert list(curves) == ["generating", "training"]
    assert curves["generating"].values == [None, 3.0, None, 3.0, None, 3.0]
    assert curves["training"].values == [None, 1.0, None, 1.0, None, 1.0]
    assert curves["training"].floor == curves["generating"].top
    assert curves["training"].top == [None, 4.0, None, 4.0, None, 4.0]
    assert curves_of(series, "step_time", other="b")["b"].values == curves["training"].top


def test_without_phases_the_rate_tells_the_time_of_a_step():
    curves = curves_of(make_series(steps_per_second=[0.5, 0.0, None, 4.0]), "step_time")
    assert curves["step_time"].values == [2.0, None, None, 0.25]


def test_the_rewards_spread_is_a_band_around_it():
    curves = curves_of(make_series(reward_mean=[0.5, 0.6, None], reward_std=[0.1, None, 0.2]), "reward")
    assert curves["reward_std"].top == [0.6, None, None]
    assert curves["reward_std"].floor == [0.4, None, None]


def test_processors_in_use_are_a_rate_that_starts_again_with_the_process():
    used = curves_of(make_series(cpu_seconds_total=[100.0, 120.0, None, 160.0, 5.0, 15.0]), "processor")["cores"]
    assert used.values == [None, 2.0, None, 2.0, None, 1.0]


def test_of_an_accelerator_the_peers_own_share_is_drawn_where_it_is_known():
    both = make_series(accelerator_process_memory_bytes=[5.0], accelerator_memory_bytes=[3.0])
    assert curves_of(both, "accelerator_memory")["accelerator_memory"].values == [5.0]
    torch = make_series(accelerator_memory_bytes=[3.0])
    assert curves_of(torch, "accelerator_memory", other="b")["b"].values == [3.0]


@pytest.mark.parametrize("trend", [None, {"slope": None, "level": 1.0}, {"slope": -1.0, "level": 1.0}, {}])
def test_only_growth_is_forecast(trend):
    series = make_series(memory_bytes=[1.0, 2.0])
    memory = {one.name: one for one in make_charts(series, "a", trend=trend)}["memory"]
    assert memory.outlook == ()
    growing = make_charts(series, "a", trend={"slope": 2.0, "level": 7.0}, now=20.0)
    assert {one.name: one for one in growing}["memory"].outlook == ((20.0, 7.0), (21.5, 10.0))


def test_what_was_never_measured_has_no_chart():
    charts = make_charts(make_series(rank=[1.0, 2.0]), "a")
    assert [drawing.name for chart in charts if (drawing := draw(chart, AXIS))] == ["rank"]


def test_marks_are_alerts_restarts_and_checkpoints_of_this_peer():
    series = make_series(
        start_timestamp=[-50.0, -49.0, 25.0, 25.5, None, 41.0], saving_seconds_total=[0.0, 0.0, 2.0, 2.0, None, 5.0]
    )
    firings = [
        Firing("PeerStalled", "a", "critical", "No progress.", 5.0, 20.0),
        Firing("PeerDown", "a", "critical", "Gone.", 50.0, None),
        Firing("PeerDown", "b", "critical", "Gone.", 5.0, 20.0),
        Firing("DiskLow", "a", "warning", "Full.", 70.0, 80.0),
    ]
    marks = find_marks(series, "a", firings, AXIS)
    assert [(mark.kind, mark.begin, mark.end) for mark in marks] == [
        ("alert", 5.0, 20.0),
        ("checkpoint", 20.0, 20.0),
        ("restart", 25.0, 25.0),
        ("restart", 41.0, 41.0),
        ("alert", 50.0, 60.0),
        ("checkpoint", 50.0, 50.0),
    ]
    drawn = draw_marks(marks, AXIS)
    assert drawn.paths["restart"] == f"M417 0V{HEIGHT}M683 0V{HEIGHT}"
    assert drawn.paths["critical"] == f"M83 0H333V{HEIGHT}H83ZM833 0H1000V{HEIGHT}H833Z"
    assert (drawn.alerts, drawn.restarts, drawn.checkpoints) == (2, 2, 2)
    assert [(mark.rule, mark.is_over) for mark in drawn.listed if mark.rule] == [
        ("PeerDown", False),
        ("PeerStalled", True),
    ]


def test_ten_thousand_alerts_are_a_short_page():
    firings = [Firing("PeerDown", "a", "critical", "Gone.", n / 200, n / 200 + 0.01) for n in range(10_000)]
    drawn = draw_marks(find_marks(make_series(rank=[1.0]), "a", firings, AXIS), AXIS)
    assert (drawn.alerts, len(drawn.listed), drawn.unlisted) == (10_000, MAX_LISTED, 10_000 - MAX_LISTED)
    assert len(drawn.paths["critical"]) < 100
