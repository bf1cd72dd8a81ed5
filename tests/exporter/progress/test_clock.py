"""The time at which a trainer wrote something, whatever clock it tells it by."""

import time
from datetime import UTC, datetime

import pytest

from exporter.progress.clock import find_zone, read_time

BERLIN = find_zone("Europe/Berlin")
NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC).timestamp()


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize("value", [NOON, NOON * 1e3, NOON * 1e6, NOON * 1e9, f"{NOON:.0f}", f"{NOON * 1e3:.0f}"])
def test_seconds_milliseconds_and_less_since_1970(value):
    assert read_time(value, NOON) == pytest.approx(NOON, abs=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-28T12:00:00Z",
        "2026-11-28T13:00:00+01:00",
        "2026-11-28 13:00:00,000",
        "2026-11-28T13:00:00.000",
        "13:00:00",
        "13:00:00.000",
    ],
)
def test_times_with_zone_without_zone_and_without_date(text):
    assert read_time(text, NOON + 1, BERLIN) == NOON


def test_a_time_without_zone_is_that_of_this_machine(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert read_time("2026-11-28 21:00:00", NOON) == NOON
        assert read_time("21:00:00", NOON) == NOON
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_time_without_date_may_be_of_yesterday():
    midnight = utc("2026-11-28 00:00:10")
    assert read_time("23:59:50", midnight, UTC) == midnight - 20


@pytest.mark.parametrize(
    ("now", "minutes_ago"),
    [("2026-10-25 00:31", 1), ("2026-10-25 01:31", 1), ("2026-10-25 01:10", 40)],
)
def test_the_hour_that_comes_twice_in_autumn_is_the_one_that_was_last(now, minutes_ago):
    # 02:30 in Berlin is 00:30 and 01:30 UTC on that day.
    reference = utc(now)
    for text in ("02:30:00", "2026-10-25 02:30:00"):
        assert reference - read_time(text, reference, BERLIN) == minutes_ago * 60


def test_the_hour_that_spring_leaves_out_is_read_as_an_hour_later():
    assert read_time("2026-03-29 02:30:00", utc("2026-03-29 02:00"), BERLIN) == utc("2026-03-29 01:30")


@pytest.mark.parametrize(
    "value",
    [None, True, 5, -1.0, 1e30, float("nan"), "", "soon", "25:00:00", "9" * 60, "2026-11-28T14:00:00Z", NOON + 3600],
)
def test_what_tells_no_time_or_one_to_come_is_none(value):
    assert read_time(value, NOON) is None


def test_an_unknown_zone_is_refused():
    with pytest.raises(ValueError, match="zone: 'Nowhere' is not a time zone, such as Europe/Berlin or UTC"):
        find_zone("Nowhere")
