"""Silences and acknowledgements: which alerts people do not want to hear of, by whose word and until when."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from alerts.durations import Duration
from alerts.engine.evaluate import Key


def _check_printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that cannot be shown")
    return text


Pattern = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_check_printable)]
Comment = Annotated[str, StringConstraints(max_length=200), AfterValidator(_check_printable)]


class SilenceRequest(BaseModel):
    """What somebody asks to be silenced; a pattern may hold `*` and `?`, and `*` alone means any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Pattern = "*"
    peer: Pattern = "*"
    severity: Pattern = "*"
    lasts: Annotated[Duration, Field(gt=0)]
    comment: Comment = ""


class AckRequest(BaseModel):
    """What somebody acknowledges: every alert that fires now and matches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Pattern
    peer: Pattern = "*"
    comment: Comment = ""


class Silence(NamedTuple):
    """Alerts that match are not told before `ends_at`, epoch seconds."""

    id: int
    rule: str
    peer: str
    severity: str
    ends_at: float
    comment: str = ""

    def covers(self, key: Key, severity: str, now: float) -> bool:
        return (
            now < self.ends_at
            and matches(self.rule, key.rule)
            and matches(self.peer, key.peer)
            and matches(self.severity, severity)
        )


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is the text, or a glob of it: `*` stands for any letters, `?` for one; case counts."""
    # Square brackets are ordinary letters: they occur in names, and nobody expects them to be a set.
    return pattern == text or fnmatchcase(text, re.sub(r"\[", "[[]", pattern))


def is_silenced(key: Key, severity: str, silences: Iterable[Silence], now: float) -> bool:
    return any(silence.covers(key, severity, now) for silence in silences)
