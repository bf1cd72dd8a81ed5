"""What part of the past a peer's page shows."""

import pytest

from alerts.web.window import SHORTEST_SECONDS, Window, make_axis, make_earlier_query, make_query, read_window


def test_a_window_is_a_day_up_to_now_unless_the_address_says_otherwise():
    assert read_window({}, set()) == Window(86400.0)
    asked = {"span": "7d", "until": "1760000000", "compare": "b"}
    assert read_window(asked, {"b"}) == Window(7 * 86400.0, 1.76e9, "b")
    assert read_window({"compare": "-7d"}, {"b"}) == Window(86400.0, None, "-7d", 7 * 86400.0)
    assert read_window({"compare": "-7d"}, {"-7d"}).earlier == 0.0
    assert read_window({"span": "1s"}, set()).seconds == SHORTEST_SECONDS


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"span": "x"}, "span: "),
        ({"until": "soon"}, "until: seconds"),
        ({"until": "nan"}, "until: seconds"),
        ({"until": "1e300"}, "until: seconds"),
        ({"compare": "c"}, "compare: no other peer"),
        ({"compare": "-0s"}, "compare: no other peer"),
    ],
)
def test_what_is_no_window_is_refused_with_the_reason(asked, reason):
    with pytest.raises(ValueError, match=reason):
        read_window(asked, {"b"})


def test_an_address_leads_back_to_its_window_whatever_the_peers_are_called():
    window = Window(3600.0, 1.76e9, "a b&c")
    address = window.address("x/y?")
    assert address.startswith("/peers/x%2Fy%3F?span=3600s&")
    assert "compare=a+b%26c" in address
    assert window.address("x", until=None, compare="") == "/peers/x?span=3600s"


@pytest.mark.parametrize(
    ("hours", "step"), [(0.5, 30.0), (1, 30.0), (6, 75.0), (24, 300.0), (24 * 7, 2100.0), (720, 10_800.0)]
)
def test_points_are_whole_evaluations_or_whole_slots(hours, step):
    query = make_query("a", Window(hours * 3600.0), 1.76e9, 15.0)
    assert (query.until - query.since) / query.points == step
    assert hours * 3600 <= query.until - query.since < hours * 3600 + step
    assert query.points <= 288


def test_an_earlier_time_lies_point_over_point():
    window = Window(7 * 86400.0, None, "-1d", 86400.0)
    query = make_query("a", window, 1.76e9, 15.0)
    earlier = make_earlier_query(query, window)
    step = (query.until - query.since) / query.points
    assert query.peers == earlier.peers == ("a",)
    assert (query.until - earlier.until) % step == 0
    assert query.until - earlier.until == pytest.approx(86400, abs=step / 2)


def test_the_axis_has_room_for_a_forecast_only_if_there_is_one():
    assert make_axis(Window(100.0), 500.0, has_outlook=False) == (400.0, 500.0, 500.0)
    assert make_axis(Window(100.0), 500.0, has_outlook=True) == (400.0, 515.0, 500.0)
    assert make_axis(Window(100.0, 300.0), 500.0, has_outlook=False) == (200.0, 300.0, 300.0)
