"""Finds in a text what marks a line of interest. Most of a log is of none, so looking for it is most of the cost."""

import re
from typing import Protocol

# The commonest bytes of a log first; all others are rarer.
_COMMON = b" etaoinsrhldcumfpgwybv.,k\n0123456789-=xjqz:'\"/_()AISTECROPLNM"
# Each costs as much as a hundred bytes of a plain search.
TRIES = 16


class Marker(Protocol):
    """Marks the lines that hold it."""

    def find(self, text: bytes, place: int) -> int:
        """Where it stands first, at or behind a place where a line begins; -1 where it does not."""


class Words:
    """Words anywhere in a line.

    A search for one byte is a hundred times as fast as for several, so the rarest of them is looked for, while it is
    rare.
    """

    def __init__(self, words: bytes) -> None:
        self._words = words
        self._place = max(range(len(words)), key=lambda place: _rarity(words[place]))
        self._rarest = words[self._place : self._place + 1]

    def find(self, text: bytes, place: int) -> int:
        """As `Marker` has it."""
        begin = place
        for _ in range(TRIES):
            found = text.find(self._rarest, begin + self._place) - self._place
            if found < begin:
                return -1
            if text.startswith(self._words, found):
                return found
            begin = found + 1
        return text.find(self._words, begin)


class Beginnings:
    """What a line begins with: one search for all of them. Behind a carriage return alone they are not found."""

    def __init__(self, *beginnings: bytes) -> None:
        one = b"|".join(map(re.escape, beginnings))
        self._first = re.compile(b"(?:" + one + b")")
        self._other = re.compile(b"\n(?:" + one + b")")

    def find(self, text: bytes, place: int) -> int:
        """As `Marker` has it."""
        if self._first.match(text, place):
            return place
        found = self._other.search(text, place)
        return found.start() + 1 if found else -1


def _rarity(byte: int) -> int:
    place = _COMMON.find(byte)
    return len(_COMMON) if place < 0 else place
