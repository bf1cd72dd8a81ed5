"""Renders one event as a message: title, plain body and HTML, in the fleet's style."""

import re
import unicodedata
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

# Of a style that is made for no service: fits into what most take.
MAX_BODY_LENGTH = 1750
MAX_TITLE_LENGTH = 180
_BREAK = re.compile(r"<br\s*/?>\s*\n")
# The most characters that a letter is made of, such as an emoji of a family.
_LONGEST_CLUSTER = 32
_JOINER = "\u200d"

# The length of a text, as a service counts it.
Measure = Callable[[str], int]


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


def measure_escaped(text: str) -> int:
    """The characters of a text in HTML."""
    return len(escape(text))


class Style(NamedTuple):
    """How a fleet's messages are rendered: language, time zone (None: this host's), the longest title and body.

    `limit` and `title_limit` are in the units of `measure`; `html_limit` is the limit of the HTML in characters, 0
    where the service takes none.
    """

    fleet: str
    words: Words = WORDS
    zone: tzinfo | None = None
    limit: int = MAX_BODY_LENGTH
    html_limit: int = 0
    title_limit: int = MAX_TITLE_LENGTH
    measure: Measure = measure_escaped
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
        if not self.fits(body):  # A user's template may be longer than the default.
            body = _DEFAULT.render("body.txt", content)
        body = shorten(body, self.limit, self.measure, self.words.shortened)
        html = self.templates.render("body.html", content) if self.html_limit else ""
        # Converters of a mail's HTML to plain text would begin the next line with a space.
        html = _BREAK.sub("<br>", html)
        return Message(self.shorten_title(title), body, html if len(html) <= self.html_limit else "")

    def render_body(self, content: Content) -> str:
        return self.templates.render("body.txt", content)

    def fits(self, body: str, *, less: int = 0) -> bool:
        """Whether a body is within the limit, of which `less` is needed for something else."""
        return self.measure(body) <= self.limit - less

    def shorten_title(self, title: str, *, less: int = 0) -> str:
        """A title within the limit of characters and of the service."""
        title = shorten(title, MAX_TITLE_LENGTH - less)
        return shorten(title, self.title_limit - less, self.measure) if self.title_limit < MAX_TITLE_LENGTH else title


def render(event: Event, style: Style) -> Message:
    """The message for one event: rule, peer, severity, since when, and what to do."""
    content = describe(event, style)
    if not style.fits(style.render_body(content)):
        style = style._replace(html_limit=0)
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


def shorten(text: str, limit: int, measure: Measure = len, mark: str = "…") -> str:
    """The text within the limit; `mark` ends one that was cut. Neither a letter nor a link is cut in two."""
    if measure(text) <= limit:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(text[:middle]) + measure(mark) <= limit:
            low = middle
        else:
            high = middle - 1
    return f"{text[: _find_end(text, low)].rstrip()}{mark}"


def _find_end(text: str, end: int) -> int:
    """The last place up to `end` where a text may be cut."""
    for earlier in range(end, max(0, end - _LONGEST_CLUSTER), -1):
        if not _continues(text, earlier):
            end = earlier
            break
    begin = max(text.rfind(blank, 0, end) for blank in " \n\t") + 1
    is_within_word = end < len(text) and not text[end].isspace()
    return begin if is_within_word and "://" in text[begin : end + 3] else end


def _continues(text: str, end: int) -> bool:
    """Whether the character at `end` belongs to the letter before it."""
    if not 0 < end < len(text):
        return False
    after, before = text[end], text[end - 1]
    is_mark = unicodedata.combining(after) > 0 or unicodedata.category(after) in ("Mn", "Me", "Mc")
    is_tone = "\U0001f3fb" <= after <= "\U0001f3ff"
    is_flag = "\U0001f1e6" <= after <= "\U0001f1ff" and "\U0001f1e6" <= before <= "\U0001f1ff"
    return is_mark or is_tone or is_flag or _JOINER in (after, before)


def format_time(at: float, zone: tzinfo | None = None, words: Words = WORDS) -> str:
    """Date, time and zone (default: this host's); a page may have a timestamp that is out of range."""
    try:
        return datetime.fromtimestamp(at).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    except (OverflowError, ValueError, OSError):
        return words.unknown_time
