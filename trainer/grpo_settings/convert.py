"""Reads a value as a field takes it: text that is a number as one, and bounds that numbers have."""

import math
import re
from typing import Any, NamedTuple

from trainer.grpo_settings.fields import FieldType

_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "dict": "a mapping"}
# What torch and Python's own loops count with.
_LARGEST = 2**63 - 1


class Range(NamedTuple):
    """Bounds of a number: `low` and `high` are allowed, `above` and `below` are not."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    def describe(self) -> str:
        if self.low is not None and self.low == self.high:
            return f"{self.low:g}"
        words = (("at least", self.low), ("above", self.above), ("at most", self.high), ("below", self.below))
        return " and ".join(f"{word} {bound:g}" for word, bound in words if bound is not None)

    def holds(self, value: float) -> bool:
        return not (
            (self.low is not None and value < self.low)
            or (self.high is not None and value > self.high)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        )


def convert(value: Any, wanted: FieldType) -> Any:
    """The value as the field takes it. Raises ValueError with what it should be."""
    kinds = wanted.kinds
    if "Any" in kinds or (value is None and "None" in kinds) or (isinstance(value, dict) and "dict" in kinds):
        return value
    if isinstance(value, bool):
        if "bool" in kinds:
            return value
        # YAML reads `no` as false.
        if value is False and "no" in wanted.choices:
            return "no"
    elif isinstance(value, str) and "str" in kinds:
        return value
    elif isinstance(value, int | float | str) and kinds & {"int", "float"}:
        number = _to_number(value, kinds)
        if number is not None:
            return number
    elif isinstance(value, list) and "list" in kinds:
        # Of lists in lists nothing more is known.
        is_flat = wanted.items and "list" not in wanted.items
        return [convert(one, FieldType(wanted.items, choices=wanted.choices)) for one in value] if is_flat else value
    expected = [_WORDS[kind] for kind in _WORDS if kind in kinds] + ["a list"] * ("list" in kinds)
    raise ValueError(f"should be {' or '.join(expected) or 'left out'}{shown(value)}")


def _to_number(value: float | str, kinds: frozenset[str]) -> float | None:
    """The finite number that a value is, an int where the field takes none with a fraction."""
    if isinstance(value, str):
        text = value.strip()
        if len(text) > 100 or not _NUMBER.fullmatch(text):
            return None
        value = int(text) if text.lstrip("+-").isdigit() else float(text)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if "float" in kinds:
        return value
    if abs(value) > _LARGEST:
        raise ValueError(f"should be at most {_LARGEST}, not {value!r}")
    return int(value) if value == int(value) else None


def shown(value: Any) -> str:
    """`, not …` for a short value."""
    return f", not {value!r}" if isinstance(value, int | float | str) and len(repr(value)) <= 60 else ""
