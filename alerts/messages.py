"""What an alert says to a person: a short title and a plain body, the same for every service."""

from datetime import datetime
from typing import NamedTuple

from alerts.durations import describe_duration
from alerts.evaluate import Event

# Telegram refuses more than 4096 characters; escaping can make five of one, and the title comes on top.
MAX_BODY_LENGTH = 1750
_PREFIX = {"firing": "", "reminder": "Still firing: ", "resolved": "Recovered: "}


class Message(NamedTuple):
    """A notification's text, as typed: nothing in it is markup."""

    title: str
    body: str


def render(event: Event, *, fleet: str, remedy: str) -> Message:
    """The notification for an event: what, which peer, how bad, since when, and what to try first."""
    title = f"{_PREFIX[event.kind]}{event.key.rule}: {event.key.peer}"
    lasted = describe_duration(event.at - event.since)
    if event.kind == "resolved":
        lines = [event.summary, f"It lasted {lasted}, since {format_time(event.since)}.", f"Fleet {fleet}"]
    else:
        lines = [
            event.summary,
            f"Since {format_time(event.since)} ({lasted})."
            if lasted != "0 s"
            else f"Since {format_time(event.since)}.",
            f"Fleet {fleet}, severity {event.severity}",
            f"What to do: {remedy}",
        ]
    lines.append(event.evidence)
    body = "\n".join(line for line in lines if line)
    return Message(title, body if len(body) <= MAX_BODY_LENGTH else f"{body[: MAX_BODY_LENGTH - 1]}…")


def format_time(at: float) -> str:
    """A moment in this host's time, with its zone; a page may claim one that no calendar has."""
    try:
        return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    except (OverflowError, ValueError, OSError):
        return "an unknown time"
