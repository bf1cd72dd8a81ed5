"""Silences and acknowledgements: which alerts they match, and until when. Pure."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from alerts.durations import Duration
from alerts.engine.evaluate import Key
from alerts.evidence.redact import redact

MAX_COMMENT_LENGTH = 200


def _check_printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that cannot be shown")
    return text


def _redact_comment(text: str) -> str:
    return redact(text, MAX_COMMENT_LENGTH)


Pattern = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_check_printable)]
# Others read it: in the chat, on the page and in the terminal.
Comment = Annotated[
    str,
    StringConstraints(max_length=MAX_COMMENT_LENGTH),
    AfterValidator(_check_printable),
    AfterValidator(_redact_comment),
]


class SilenceRequest(BaseModel):
    """A request for a silence; a pattern may contain `*` and `?`, and `*` alone matches all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Pattern = "*"
    peer: Pattern = "*"
    severity: Pattern = "*"
    lasts: Annotated[Duration, Field(gt=0)]
    comment: Comment = ""


class AckRequest(BaseModel):
    """A request to acknowledge every firing alert that matches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Pattern
    peer: Pattern = "*"
    comment: Comment = ""


class Silence(NamedTuple):
    """Routes are not notified of matching alerts before `ends_at`, epoch seconds."""

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
    """Whether the text equals the pattern, or matches it as a glob of `*` and `?`; case-sensitive."""
    # Square brackets are literal: they occur in names, and no one expects a character set.
    return pattern == text or fnmatchcase(text, re.sub(r"\[", "[[]", pattern))


def is_silenced(key: Key, severity: str, silences: Iterable[Silence], now: float) -> bool:
    return any(silence.covers(key, severity, now) for silence in silences)
