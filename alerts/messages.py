"""What an alert says to a person: a short title and a plain body, the same for every service."""

from collections.abc import Callable
from datetime import datetime, tzinfo
from html import escape
from typing import NamedTuple

from alerts.evaluate import Event
from alerts.rules import discover
from alerts.words import LANGUAGES, Words

# Telegram refuses more than 4096 characters; escaping can make five of one, and the title comes on top.
MAX_BODY_LENGTH = 1750


class Message(NamedTuple):
    """A notification's text, as typed: nothing in it is markup."""

    title: str
    body: str


def _find_remedy(rule: str) -> str:
    return discover()[rule].remedy if rule in discover() else ""


class Style(NamedTuple):
    """How a fleet's messages are worded: language, time zone (None: this host's), the characters a body may take."""

    fleet: str
    words: Words = LANGUAGES["en"]
    zone: tzinfo | None = None
    limit: int = MAX_BODY_LENGTH
    peers: int = 0
    find_remedy: Callable[[str], str] = _find_remedy

    def remedy_of(self, rule: str) -> str:
        """What to try first, in the fleet's language; empty for a rule that is not known."""
        return self.words.remedies.get(rule) or self.find_remedy(rule)


def render(event: Event, style: Style) -> Message:
    """The notification for an event: what, which peer, how bad, since when, and what to try first."""
    words = style.words
    title = f"{words.prefix[event.kind]}{event.key.rule}{words.colon}{event.key.peer}"
    lasted = words.duration(event.at - event.since)
    since = format_time(event.since, style.zone)
    if event.kind == "resolved":
        lines = [event.summary, words.lasted.format(lasted, since), words.fleet.format(style.fleet)]
    else:
        is_new = event.at - event.since < 0.5
        lines = [
            event.summary,
            words.since.format(since) if is_new else words.since_lasting.format(since, lasted),
            words.fleet_severity.format(style.fleet, words.severity[event.severity]),
            words.remedy.format(style.remedy_of(event.key.rule)),
        ]
    lines.append(event.evidence)
    return Message(title, shorten("\n".join(line for line in lines if line), min(style.limit, MAX_BODY_LENGTH)))


def shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def fits(text: str, limit: int) -> bool:
    """Whether a service takes the text although it escapes it."""
    return len(escape(text)) <= limit


def format_time(at: float, zone: tzinfo | None = None) -> str:
    """A moment with its zone, by default this host's; a page may claim one that no calendar has."""
    try:
        return datetime.fromtimestamp(at).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    except (OverflowError, ValueError, OSError):
        return "an unknown time"
