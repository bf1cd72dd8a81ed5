"""Parsing and formatting of durations."""

import pytest

from alerts.durations import describe_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("4h", 14400), ("7d", 604800), ("1h30m", 5400), (" 1.5 H ", 5400), (0, 0)],
)
def test_a_duration_is_parsed_with_its_unit(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["30", 30, "30x", "-5s", "", None, "5m nonsense", True, False, "9999d", "1e9d"])
def test_anything_else_is_refused_with_a_remedy_or_a_limit(text: object) -> None:
    with pytest.raises(ValueError, match=r"30s, 5m, 4h or 7d|ten years; set at most 3650d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (90061, "1 d 1 h"),
    ],
)
def test_a_duration_is_shown_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert describe_duration(seconds) == text
