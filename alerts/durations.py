"""Parses durations (`30s`, `5m`, `1h30m`, `7d`) and formats them for messages (`2 min 5 s`)."""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
_LONGEST_SECONDS = 3650 * 86400.0


def parse_duration(value: object) -> float:
    """Seconds of a duration given as text; raises ValueError with the valid units."""
    remedy = "write a number with a unit: 30s, 5m, 4h or 7d"
    if value == "0" or (value == 0 and not isinstance(value, bool)):
        return 0.0
    if not isinstance(value, str):
        raise ValueError(f"missing unit; {remedy}")
    text = value.strip().lower()
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text).strip():
        raise ValueError(f"not a duration; {remedy}")
    if any(unit not in _SECONDS for _, unit in parts):
        raise ValueError(f"unknown unit; {remedy}")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > _LONGEST_SECONDS:
        raise ValueError("longer than ten years; set at most 3650d")
    return seconds


Duration = Annotated[
    float, BeforeValidator(parse_duration), PlainSerializer(lambda seconds: f"{seconds:.15g}s", return_type=str)
]


def describe_duration(seconds: float) -> str:
    """A duration in its two largest units, as in messages."""
    left = round(min(max(0.0, seconds), 100 * _LONGEST_SECONDS))
    words = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {unit}")
        elif words:
            break
    return " ".join(words[:2]) or "0 s"
