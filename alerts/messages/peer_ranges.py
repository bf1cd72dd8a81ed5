"""Lists the peers of an alert storm so that none is missing and each is named once. Pure.

Consecutive names are a range. Peers with the same alerts share a section, whatever the number of rules: three rules
that fire for 300 peers list 300 names, not 900.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from alerts.engine.evaluate import Event, Key

_NUMBERED = re.compile(r"(.*?)(\d{1,9})")
# The outcome of an alert: firing, reminder (still firing), resolved, or passed (fired and resolved).
Outcomes = Mapping[Key, str]


class Item(NamedTuple):
    """A peer or a range of peers as it is listed, with the peers that it stands for."""

    text: str
    peers: tuple[str, ...]


class Section(NamedTuple):
    """Peers for which these rules had the same outcome."""

    outcome: str
    rules: tuple[str, ...]
    peers: tuple[str, ...]


def find_outcomes(events: Iterable[Event]) -> dict[Key, str]:
    """The outcome of each alert."""
    outcomes: dict[Key, str] = {}
    for event in events:
        began = outcomes.get(event.key) in ("firing", "passed")
        if event.kind == "resolved":
            outcomes[event.key] = "passed" if began else "resolved"
        else:
            outcomes[event.key] = "firing" if began else event.kind
    return outcomes


def make_sections(outcomes: Outcomes, order: Sequence[str]) -> list[Section]:
    """Sections by outcome in this order; within one, those with the fewest peers first: a host before its peers."""
    rules_of: dict[tuple[str, str], list[str]] = {}
    for key, outcome in sorted(outcomes.items()):
        rules_of.setdefault((outcome, key.peer), []).append(key.rule)
    peers: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (outcome, peer), rules in rules_of.items():
        peers.setdefault((outcome, tuple(rules)), []).append(peer)
    sections = [Section(outcome, rules, tuple(names)) for (outcome, rules), names in peers.items()]
    return sorted(sections, key=lambda one: (order.index(one.outcome), len(one.peers), one.rules))


def list_peers(names: Iterable[str], span: str) -> list[Item]:
    """Names in order; three or more with consecutive numbers become a range, such as `a-1 to a-9`."""
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
