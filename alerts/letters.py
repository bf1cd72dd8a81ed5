"""Words the news of one incident as one message, or as a few where a service takes no longer text. Pure.

Each event has a line of its own while they fit; more are listed by their peers' names, so that no peer is missing. What
was found as evidence comes last and takes the room that is left.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from alerts.evaluate import Event, Key
from alerts.grouping import News
from alerts.listing import Section, find_outcomes, list_peers, make_sections
from alerts.messages import Style, fits, format_time, render, shorten

MAX_PARTS = 3
MAX_TITLE_LENGTH = 180
MOST_LINES = 25
FEW = 3
FEW_LENGTH = 80
MAX_EVIDENCE = 3
MAX_EVIDENCE_LENGTH = 700
# Less of it tells nothing.
MIN_EVIDENCE_LENGTH = 150


class Letter(NamedTuple):
    """A notification to be: its text, and the news that it tells."""

    title: str
    body: str
    news: tuple[News, ...] = ()


def compose(news: Sequence[News], style: Style, *, headline: str = "") -> list[Letter]:
    """At most MAX_PARTS letters that tell all the news; `headline` begins the title of a summary."""
    news = tuple(sorted(news, key=lambda one: one.id))
    if len(news) == 1 and not headline:
        message = render(news[0].event, style)
        return [Letter(message.title, message.body, news)]
    events = [one.event for one in news]
    title = shorten(_title(events, style, headline), MAX_TITLE_LENGTH)
    detailed = "\n".join([*(_line(event, style) for event in events), *_frame(events, style)])
    if len(events) <= MOST_LINES and fits(detailed, style.limit):
        return [Letter(title, _add_evidence(detailed, events, style), news)]
    bodies, part_of = _pack(events, style)
    bodies[-1] = _add_evidence(_add_frame(bodies[-1], events, style), events, style)
    titles = [title]
    if len(bodies) > 1:
        titles = [style.words.part.format(title, number, len(bodies)) for number in range(1, len(bodies) + 1)]
    return [
        Letter(titles[part], body, tuple(one for one in news if part_of[one.event.key] == part))
        for part, body in enumerate(bodies)
    ]


def _title(events: Sequence[Event], style: Style, headline: str) -> str:
    words, outcomes = style.words, find_outcomes(events)
    kinds = [kind for kind in words.count if kind in outcomes.values()]
    rules = sorted({key.rule for key in outcomes})
    peers = [key.peer for key in sorted(outcomes)]
    if len(kinds) == 1 and not headline:
        few = words.comma.join(f"{key.rule}{words.colon}{key.peer}" for key in sorted(outcomes))
        if len(rules) == 1:
            few = f"{rules[0]}{words.colon}{words.comma.join(peers)}"
        if len(outcomes) <= FEW and len(few) <= FEW_LENGTH:
            return f"{words.prefix[kinds[0]]}{few}"
        if len(rules) == 1:
            many = (words.all_peers if style.peers == len(peers) else words.peers).format(len(peers))
            return f"{words.prefix[kinds[0]]}{rules[0]}{words.colon}{many}"
    counts = words.comma.join(words.count[kind].format(list(outcomes.values()).count(kind)) for kind in kinds)
    return f"{headline or words.comma.join(rules)}{words.colon}{counts}"


def _line(event: Event, style: Style) -> str:
    words, since = style.words, format_time(event.since, style.zone)
    if event.kind == "resolved":
        when = words.lasted.format(words.duration(event.at - event.since), since)
    else:
        when = words.since.format(since)
    text = f"{words.prefix[event.kind]}{event.key.rule}{words.colon}{event.key.peer}"
    return " ".join(part for part in (f"{text}.", event.summary, when) if part)


def _head(section: Section, last: dict[Key, Event], style: Style) -> str:
    words = style.words
    since = min(last[Key(rule, peer)].since for rule in section.rules for peer in section.peers)
    count = f"{words.colon}{words.peers.format(len(section.peers))}" if len(section.peers) > 1 else ""
    when = words.since_first.format(format_time(since, style.zone))
    return f"{words.prefix[section.outcome]}{words.comma.join(section.rules)}{count}. {when}"


def _pack(events: Sequence[Event], style: Style) -> tuple[list[str], dict[Key, int]]:
    """Texts that list all the peers, and which of them tells of which alert.

    Each is as long as the limit allows; what no text has room for is counted at the end of the last.
    """
    words, last = style.words, {event.key: event for event in events}
    room = style.limit - len(words.more.format(10**6)) - 1
    bodies, left = [""], 0
    part_of: dict[Key, int] = {}
    for section in make_sections(find_outcomes(events), list(words.prefix)):
        head, started = _head(section, last, style), False
        for item in list_peers(section.peers, words.span):
            glue = words.comma if started else ("\n\n" if bodies[-1] else "") + head + "\n"
            if left == 0 and fits(bodies[-1] + glue + item.text, room):
                bodies[-1] += glue + item.text
            elif len(bodies) < MAX_PARTS:
                bodies.append(f"{head}\n{item.text}")
            else:
                left += len(item.peers)
            started = True
            part_of |= {Key(rule, peer): len(bodies) - 1 for rule in section.rules for peer in item.peers}
    if left:
        bodies[-1] += f"\n{words.more.format(left)}"
    return bodies, part_of


def _frame(events: Sequence[Event], style: Style) -> list[str]:
    """The fleet, and the remedy of each rule that fires."""
    words, outcomes = style.words, find_outcomes(events)
    firing = {key.rule for key, kind in outcomes.items() if kind in ("firing", "reminder")}
    told = [words.remedy.format(style.remedy_of(rule)) for rule in sorted(firing) if style.remedy_of(rule)]
    if len(firing) > 1:
        told = [words.remedy.format(f"{rule}{words.colon}{style.remedy_of(rule)}") for rule in sorted(firing)]
    return [words.fleet.format(style.fleet), *told]


def _add_frame(body: str, events: Sequence[Event], style: Style) -> str:
    """As much of the frame as there is room for; it gives way to the peers' names."""
    for line in ("", *_frame(events, style)):
        if fits(f"{body}\n{line}", style.limit):
            body = f"{body}\n{line}"
    return body


def _add_evidence(body: str, events: Sequence[Event], style: Style) -> str:
    for block in _evidence(events, style):
        length = len(block)
        while length >= MIN_EVIDENCE_LENGTH and not fits(f"{body}\n\n{block[:length]}", style.limit):
            length -= 50
        if len(block) <= MIN_EVIDENCE_LENGTH or length >= MIN_EVIDENCE_LENGTH:
            added = f"{body}\n\n{shorten(block, max(length, 1))}"
            body = added if fits(added, style.limit) else body
    return body


def _evidence(events: Sequence[Event], style: Style) -> Iterator[str]:
    """What was found about the first alerts that have any."""
    found = [event for event in events if event.evidence and event.kind == "firing"]
    for event in found[:MAX_EVIDENCE]:
        whom = f"{event.key.rule}{style.words.colon}{event.key.peer}"
        yield shorten(f"{whom}\n{event.evidence}", MAX_EVIDENCE_LENGTH if len(found) > 1 else len(event.evidence) + 200)
