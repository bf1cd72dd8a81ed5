"""Renders one event as a message: title, plain body and HTML, in the fleet's style."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, tzinfo
from html import escape
from typing import NamedTuple

from alerts.engine.evaluate import Event
from alerts.i18n import Words
from alerts.i18n.en import WORDS
from alerts.messages.content import AlertText, Content, EvidenceText
from alerts.messages.news import News
from alerts.messages.templating import Templates
from alerts.rules import discover

# Telegram refuses more than 4096 characters; escaping can make five of one, and the title comes on top.
MAX_BODY_LENGTH = 1750
MAX_TITLE_LENGTH = 180
_BREAK = re.compile(r"<br\s*/?>\s*\n")


_DEFAULT = Templates()


class Message(NamedTuple):
    """A notification. Title and body are as typed: nothing in them is markup; `html` may be empty.

    `news` is what it reports. `buttons` are what a reader may answer, where the service allows: their data by their
    labels. `image` is a PNG.
    """

    title: str
    body: str
    html: str = ""
    news: tuple[News, ...] = ()
    buttons: tuple[tuple[str, str], ...] = ()
    image: bytes = b""


def _find_remedy(rule: str) -> str:
    return discover()[rule].remedy if rule in discover() else ""


class Style(NamedTuple):
    """How a fleet's messages are rendered: language, time zone (None: this host's), the characters a body may take.

    `html_limit` is the limit of the HTML, 0 where the service takes none.
    """

    fleet: str
    words: Words = WORDS
    zone: tzinfo | None = None
    limit: int = MAX_BODY_LENGTH
    html_limit: int = 0
    peers: int = 0
    find_remedy: Callable[[str], str] = _find_remedy
    templates: Templates = _DEFAULT

    def remedy_of(self, rule: str) -> str:
        """The rule's "What to do", in the fleet's language; empty for an unknown rule."""
        return self.words.remedies.get(rule) or self.find_remedy(rule)

    def render(self, content: Content) -> Message:
        """The content in this style; where a user's template makes it too long, the default template is used."""
        title = " ".join(self.templates.render("title.txt", content).split())
        body = self.render_body(content)
        if not fits(body, self.limit):  # A user's template may be longer than the default.
            body = _DEFAULT.render("body.txt", content)
        body = shorten(body, self.limit)
        html = self.templates.render("body.html", content) if self.html_limit else ""
        # Converters of a mail's HTML to plain text would begin the next line with a space.
        html = _BREAK.sub("<br>", html)
        return Message(shorten(title, MAX_TITLE_LENGTH), body, html if len(html) <= self.html_limit else "")

    def render_body(self, content: Content) -> str:
        return self.templates.render("body.txt", content)


def render(event: Event, style: Style) -> Message:
    """The message for one event: rule, peer, severity, since when, and what to do."""
    content = describe(event, style)
    if not fits(style.render_body(content), style.limit):
        style = style._replace(limit=min(style.limit, MAX_BODY_LENGTH), html_limit=0)
    return style.render(content)


def describe(event: Event, style: Style) -> Content:
    """The content of a message about one event."""
    words, alert = style.words, describe_alert(event, style)
    is_over = event.kind == "resolved"
    lasted = words.duration(event.at - event.since)
    if not is_over and event.at - event.since >= 0.5:
        alert = replace(alert, when=words.since_lasting.format(format_time(event.since, style.zone, words), lasted))
    frame = words.fleet_severity.format(style.fleet, words.severity[event.severity])
    remedy = style.remedy_of(event.key.rule)
    return Content(
        title=f"{alert.prefix}{event.key.rule}{words.colon}{event.key.peer}",
        fleet=style.fleet,
        alerts=(alert,),
        frame=words.fleet.format(style.fleet) if is_over else frame,
        remedies=() if is_over or not remedy else (words.remedy.format(remedy),),
        evidence=(EvidenceText("", event.evidence),) if event.evidence else (),
        colon=words.colon,
    )


def describe_alert(event: Event, style: Style) -> AlertText:
    """The event as an entry of a message, which may have several."""
    words = style.words
    since = format_time(event.since, style.zone, words)
    if event.kind == "resolved":
        when = words.lasted.format(words.duration(event.at - event.since), since)
    else:
        when = words.since.format(since)
    prefix = words.prefix[event.kind]
    head = f"{prefix}{event.key.rule}{words.colon}{event.key.peer}."
    return AlertText(
        *event.key,
        kind=event.kind,
        severity=event.severity,
        summary=event.summary,
        at=event.at,
        since=event.since,
        prefix=prefix,
        when=when,
        line=" ".join(part for part in (head, event.summary, when) if part),
    )


def shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def fits(text: str, limit: int) -> bool:
    """Whether the text is within the limit after escaping."""
    return len(escape(text)) <= limit


def format_time(at: float, zone: tzinfo | None = None, words: Words = WORDS) -> str:
    """Date, time and zone (default: this host's); a page may have a timestamp that is out of range."""
    try:
        return datetime.fromtimestamp(at).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    except (OverflowError, ValueError, OSError):
        return words.unknown_time
