"""Groups the news of one incident into one message, or a few where the service limits the length. Pure.

Each event has a line of its own while they fit; more are listed by their peers' names, so that no peer is missing.
Remedies and evidence take the room that is left.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from alerts.engine.evaluate import Event, Key
from alerts.messages.content import Content, EvidenceText, PeerList
from alerts.messages.news import News
from alerts.messages.peer_ranges import Section, find_outcomes, list_peers, make_sections
from alerts.messages.single import Message, Style, describe_alert, format_time, render, shorten

MAX_PARTS = 3
# In a title, for the number of a part.
PART_ROOM = 15
MOST_LINES = 25
FEW = 3
FEW_LENGTH = 80
MAX_EVIDENCE = 3
MAX_EVIDENCE_LENGTH = 700
# A shorter excerpt is of no use.
MIN_EVIDENCE_LENGTH = 150


def compose(news: Sequence[News], style: Style, *, headline: str = "") -> list[Message]:
    """At most MAX_PARTS messages that report all the news; `headline` begins the title of a summary."""
    news = tuple(sorted(news, key=lambda one: one.id))
    events = [one.event for one in news]
    if len(news) == 1 and not headline:
        return [render(events[0], style)._replace(news=news)]
    title = style.shorten_title(_title(events, style, headline), less=PART_ROOM)
    fleet = style.words.fleet.format(style.fleet)
    alerts = tuple(describe_alert(event, style) for event in events)
    whole = Content(title, style.fleet, alerts, headline, frame=fleet, colon=style.words.colon)
    detailed = replace(whole, remedies=_remedies(events, style))
    if len(events) <= MOST_LINES and _fits(detailed, style):
        return [style.render(_add_evidence(detailed, events, style))._replace(news=news)]
    pages, more, part_of = _pack(events, style)
    contents = []
    for number, sections in enumerate(pages, start=1):
        part = replace(whole, sections=sections, frame="", part=number, parts=len(pages))
        if len(pages) > 1:
            part = replace(part, title=style.words.part.format(title, number, len(pages)))
        contents.append(part)
    contents[-1] = _add_evidence(_add_frame(replace(contents[-1], more=more), whole, events, style), events, style)
    return [
        style.render(content)._replace(news=tuple(one for one in news if part_of[one.event.key] == part))
        for part, content in enumerate(contents)
    ]


def _fits(content: Content, style: Style) -> bool:
    return style.fits(style.render_body(content))


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


def _head(section: Section, last: dict[Key, Event], style: Style) -> str:
    words = style.words
    since = min(last[Key(rule, peer)].since for rule in section.rules for peer in section.peers)
    count = f"{words.colon}{words.peers.format(len(section.peers))}" if len(section.peers) > 1 else ""
    when = words.since_first.format(format_time(since, style.zone, words))
    return f"{words.prefix[section.outcome]}{words.comma.join(section.rules)}{count}. {when}"


def _pack(events: Sequence[Event], style: Style) -> tuple[list[tuple[PeerList, ...]], str, dict[Key, int]]:
    """Pages that list all peers, the text about those that no page has room for, and each alert's page.

    Each page is as long as the limit allows, in the default layout.
    """
    words, last = style.words, {event.key: event for event in events}
    spare = style.measure(words.more.format(10**6)) + 2
    pages: list[list[PeerList]] = [[]]
    used, left = 0, 0
    part_of: dict[Key, int] = {}
    for section in make_sections(find_outcomes(events), list(words.prefix)):
        head, is_begun = _head(section, last, style), False
        for item in list_peers(section.peers, words.span):
            text = f"{words.comma}{item.text}" if is_begun else f"{head}\n{item.text}\n\n"
            is_full = left > 0 or not style.fits(text, less=spare + used)
            if is_full and len(pages) == MAX_PARTS:
                left += len(item.peers)
            elif is_begun and not is_full:
                pages[-1][-1] = replace(pages[-1][-1], peers=pages[-1][-1].peers + text)
                used += style.measure(text)
            else:
                if is_full:
                    pages.append([])
                    used = 0
                text = f"{head}\n{item.text}\n\n"
                pages[-1].append(PeerList(head, item.text))
                used, is_begun = used + style.measure(text), True
            part_of |= {Key(rule, peer): len(pages) - 1 for rule in section.rules for peer in item.peers}
    return [tuple(page) for page in pages], words.more.format(left) if left else "", part_of


def _remedies(events: Sequence[Event], style: Style) -> tuple[str, ...]:
    """The remedy of each firing rule."""
    words, outcomes = style.words, find_outcomes(events)
    firing = sorted({key.rule for key, kind in outcomes.items() if kind in ("firing", "reminder")})
    if len(firing) > 1:
        return tuple(words.remedy.format(f"{rule}{words.colon}{style.remedy_of(rule)}") for rule in firing)
    return tuple(words.remedy.format(style.remedy_of(rule)) for rule in firing if style.remedy_of(rule))


def _add_frame(content: Content, whole: Content, events: Sequence[Event], style: Style) -> Content:
    """Adds the fleet and as many remedies as there is room for; the peers' names come first."""
    remedies = _remedies(events, style)
    for count in range(len(remedies), -1, -1):
        candidate = replace(content, frame=whole.frame, remedies=remedies[:count])
        if _fits(candidate, style):
            return candidate
    return content


def _add_evidence(content: Content, events: Sequence[Event], style: Style) -> Content:
    for found in _find_evidence(events, style):
        for length in range(len(found.text), min(MIN_EVIDENCE_LENGTH, len(found.text)) - 1, -50):
            shown = replace(found, text=shorten(found.text, length, mark=style.words.shortened))
            candidate = replace(content, evidence=(*content.evidence, shown))
            if _fits(candidate, style):
                content = candidate
                break
    return content


def _find_evidence(events: Sequence[Event], style: Style) -> Iterator[EvidenceText]:
    """The evidence of the first alerts that have any."""
    found = [event for event in events if event.evidence and event.kind == "firing"]
    for event in found[:MAX_EVIDENCE]:
        longest = MAX_EVIDENCE_LENGTH if len(found) > 1 else len(event.evidence)
        text = shorten(event.evidence, longest, mark=style.words.shortened)
        yield EvidenceText(f"{event.key.rule}{style.words.colon}{event.key.peer}", text)
