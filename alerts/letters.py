"""Words the news of one incident as one message, or as a few where a service takes no longer text. Pure.

Each event has a line of its own while they fit; more are listed by their peers' names, consecutive ones as a span, so
that no peer is missing.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from alerts.evaluate import Event, Key
from alerts.grouping import News
from alerts.messages import Style, fits, format_time, render, shorten

MAX_PARTS = 3
MAX_TITLE_LENGTH = 180
MOST_LINES = 25
_NUMBERED = re.compile(r"(.*?)(\d{1,9})")


class Letter(NamedTuple):
    """A notification to be: its text, and the news that it tells."""

    title: str
    body: str
    news: tuple[News, ...] = ()


class Item(NamedTuple):
    """A peer, or a span of peers, as it is listed; with the peers that it stands for."""

    text: str
    peers: tuple[str, ...]


class _Section(NamedTuple):
    """What happened to several peers by the same rule."""

    rule: str
    head: str
    items: tuple[Item, ...]


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
        return [Letter(title, detailed, news)]
    bodies, part_of = _pack(list(_sections(events, style)), style)
    bodies[-1] = _add_frame(bodies[-1], events, style)
    titles = [title]
    if len(bodies) > 1:
        titles = [style.words.part.format(title, number, len(bodies)) for number in range(1, len(bodies) + 1)]
    return [
        Letter(titles[part], body, tuple(one for one in news if part_of[one.event.key] == part))
        for part, body in enumerate(bodies)
    ]


def list_peers(names: Iterable[str], span: str) -> list[Item]:
    """Names in order; three or more that differ by consecutive numbers become a span, such as `a-1 to a-9`."""
    runs: list[list[tuple[tuple[str, int, int], str]]] = []
    for key, name in sorted((_split(name), name) for name in dict.fromkeys(names)):
        previous = runs[-1][-1][0] if runs else None
        if previous and _follows(key, previous):
            runs[-1].append((key, name))
        else:
            runs.append([(key, name)])
    items = []
    for run in runs:
        members = tuple(name for _, name in run)
        if len(members) >= 3:
            items.append(Item(span.format(members[0], members[-1]), members))
        else:
            items += [Item(name, (name,)) for name in members]
    return items


def _split(name: str) -> tuple[str, int, int]:
    """Prefix, digits and number of a name that ends in a number; -1 digits otherwise."""
    match = _NUMBERED.fullmatch(name)
    return (match[1], len(match[2]), int(match[2])) if match else (name, -1, -1)


def _follows(key: tuple[str, int, int], previous: tuple[str, int, int]) -> bool:
    """`a9` is followed by `a10`, and `a09` too, but `a9` not by `a010`."""
    is_next = key[1] >= 0 and (key[0], key[2]) == (previous[0], previous[2] + 1)
    return is_next and (key[1] == previous[1] or (key[1] == previous[1] + 1 and key[2] == 10 ** previous[1]))


def _outcomes(events: Iterable[Event]) -> dict[Key, str]:
    """What became of each alert: firing, reminder (still firing), resolved, or passed (fired and resolved)."""
    outcomes: dict[Key, str] = {}
    for event in events:
        began = outcomes.get(event.key) in ("firing", "passed")
        if event.kind == "resolved":
            outcomes[event.key] = "passed" if began else "resolved"
        else:
            outcomes[event.key] = "firing" if began else event.kind
    return outcomes


def _title(events: Sequence[Event], style: Style, headline: str) -> str:
    words, outcomes = style.words, _outcomes(events)
    kinds = [kind for kind in words.count if kind in outcomes.values()]
    rules = sorted({key.rule for key in outcomes})
    peers = [key.peer for key in sorted(outcomes)]
    if len(kinds) == 1 and len(rules) == 1 and not headline:
        few = words.comma.join(peers)
        many = (words.all_peers if style.peers == len(peers) else words.peers).format(len(peers))
        whom = few if len(peers) <= 3 and len(few) <= 60 else many
        return f"{words.prefix[kinds[0]]}{rules[0]}{words.colon}{whom}"
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


def _sections(events: Sequence[Event], style: Style) -> Iterator[_Section]:
    outcomes = _outcomes(events)
    last = {event.key: event for event in events}
    for rule in sorted({key.rule for key in outcomes}):
        for kind, prefix in style.words.prefix.items():
            keys = [key for key in outcomes if key.rule == rule and outcomes[key] == kind]
            if not keys:
                continue
            since = format_time(min(last[key].since for key in keys), style.zone)
            when = style.words.since_first.format(since)
            count = f"{style.words.colon}{style.words.peers.format(len(keys))}" if len(keys) > 1 else ""
            head = f"{prefix}{rule}{count}. {when}"
            yield _Section(rule, head, tuple(list_peers((key.peer for key in keys), style.words.span)))


def _pack(sections: Sequence[_Section], style: Style) -> tuple[list[str], dict[Key, int]]:
    """Texts that list all the sections, and which of them tells of which alert.

    Each is as long as the limit allows; what no text has room for is counted at the end of the last.
    """
    words = style.words
    room = style.limit - len(words.more.format(10**6)) - 1
    bodies, left = [""], 0
    part_of: dict[Key, int] = {}
    for section in sections:
        started = False
        for item in section.items:
            glue = words.comma if started else ("\n\n" if bodies[-1] else "") + section.head + "\n"
            if left == 0 and fits(bodies[-1] + glue + item.text, room):
                bodies[-1] += glue + item.text
            elif len(bodies) < MAX_PARTS:
                bodies.append(f"{section.head}\n{item.text}")
            else:
                left += len(item.peers)
            started = True
            part_of |= {Key(section.rule, peer): len(bodies) - 1 for peer in item.peers}
    if left:
        bodies[-1] += f"\n{words.more.format(left)}"
    return bodies, part_of


def _frame(events: Sequence[Event], style: Style) -> list[str]:
    """The fleet, and the remedy of each rule that fires."""
    words, outcomes = style.words, _outcomes(events)
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
