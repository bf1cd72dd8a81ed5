"""Quiet hours and daily moments, on ordinary days and on those when the clocks change."""

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from alerts.delivery.quiet_hours import QuietHours, latest_occurrence

BERLIN = ZoneInfo("Europe/Berlin")


def _hours(begin: object, end: object, zone: str = "Europe/Berlin") -> QuietHours:
    return QuietHours.model_validate({"from": begin, "to": end, "timezone": zone})


def _utc(text: str) -> float:
    return datetime.fromisoformat(text + "+00:00").timestamp()


def _spans(quiet: QuietHours, first: str, last: str) -> list[tuple[str, str]]:
    """The quiet spans in UTC, checked every five minutes."""
    begun, spans = None, []
    for at in range(int(_utc(first)), int(_utc(last)), 300):
        now = datetime.fromtimestamp(at, ZoneInfo("UTC")).strftime("%d %H:%M")
        if quiet.covers(at) and begun is None:
            begun = now
        elif not quiet.covers(at) and begun is not None:
            spans.append((begun, now))
            begun = None
    return spans


def test_a_night_and_a_day_have_their_hours() -> None:
    assert _spans(_hours("22:30", "07:00"), "2026-01-10T12:00", "2026-01-12T12:00") == [
        ("10 21:30", "11 06:00"),
        ("11 21:30", "12 06:00"),
    ]
    assert _spans(_hours("12:00", "14:00"), "2026-01-10T00:00", "2026-01-11T00:00") == [("10 11:00", "10 13:00")]


def test_the_night_is_an_hour_shorter_when_the_clock_leaps_forward() -> None:
    assert _spans(_hours("22:00", "07:00"), "2026-03-28T12:00", "2026-03-29T12:00") == [("28 21:00", "29 05:00")]


def test_the_night_is_an_hour_longer_when_the_clock_falls_back() -> None:
    assert _spans(_hours("22:00", "07:00"), "2026-10-24T12:00", "2026-10-25T12:00") == [("24 20:00", "25 06:00")]


@pytest.mark.parametrize(
    ("end", "span"),
    [("02:30", ("24 20:00", "25 00:30")), ("03:00", ("24 20:00", "25 02:00"))],
)
def test_an_end_that_the_clock_shows_twice_comes_once(end: str, span: tuple[str, str]) -> None:
    assert _spans(_hours("22:00", end), "2026-10-24T12:00", "2026-10-25T12:00") == [span]


def test_an_end_that_the_clock_leaps_over_comes_after_the_leap() -> None:
    assert _spans(_hours("22:00", "02:30"), "2026-03-28T12:00", "2026-03-29T12:00") == [("28 21:00", "29 01:30")]


def test_a_zone_without_changes_and_the_default_zone_hold() -> None:
    assert _hours("22:00", "07:00", "Asia/Shanghai").covers(_utc("2026-07-01T14:00"))
    quiet = QuietHours.model_validate({"from": "22:00", "to": "07:00"})
    assert quiet.covers(_utc("2026-07-01T14:00"), "Asia/Shanghai")
    assert not quiet.covers(_utc("2026-07-01T14:00"), "UTC")


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": "22:00", "to": "22:00"},
        {"from": "24:00", "to": "07:00"},
        {"from": "22", "to": "7"},
        {"from": "22:00", "to": "07:00", "timezone": "Europe/Atlantis"},
        {"from": "22:00", "to": "07:00", "timezone": "../../etc/passwd"},
    ],
)
def test_hours_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        QuietHours.model_validate(wrong)


def test_the_daily_moment_comes_once_a_day_whatever_the_clock_does() -> None:
    for day in ("2026-03-28T12:00", "2026-10-24T12:00"):
        begin = int(_utc(day))
        moments = {latest_occurrence(time(2, 30), at, BERLIN) for at in range(begin, begin + 3 * 86400, 300)}
        assert len(moments) == 4
