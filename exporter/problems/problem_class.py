"""What is known of one kind of problem, and how its patterns are made. Pure.

A pattern is as long as the real line lets it be: logs hold prose too, such as completions and advice. Each takes linear
time, as prose may be hostile: repetitions are bounded, or begin at one place of a line (`in_order`).
"""

import re
from typing import NamedTuple


class Class(NamedTuple):
    """One kind of problem; `pattern` matches within a line. Some persist while rounds go on: `outlives_progress`.

    `name` is its label in metrics.

    `is_warning`: the trainer goes on for a while. `is_vague`: other lines tell the cause. `as_consequence` matches
    lines that mean this problem only behind `origin`: the same words have another cause elsewhere.
    """

    name: str
    pattern: re.Pattern[str]
    message: str
    remedy: str
    is_warning: bool = False
    outlives_progress: bool = False
    as_consequence: re.Pattern[str] | None = None
    origin: re.Pattern[str] | None = None
    is_vague: bool = False


def define(
    name: str,
    patterns: tuple[str, ...],
    message: str,
    remedy: str,
    *,
    is_warning: bool = False,
    outlives_progress: bool = False,
    is_vague: bool = False,
    consequence: tuple[str, str] | None = None,
) -> Class:
    """`consequence` is (what has this cause, behind what)."""
    pattern = re.compile("|".join(patterns), re.IGNORECASE)
    also, origin = map(re.compile, consequence) if consequence else (None, None)
    return Class(name, pattern, message, remedy, is_warning, outlives_progress, also, origin, is_vague)


def in_order(*parts: str) -> str:
    """Matches a line that holds all parts in this order, each searched for once."""
    return "^" + "".join(f"(?>.*?{part})" for part in parts)
