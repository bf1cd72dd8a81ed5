"""A pattern of the user's: a regular expression with named groups, in time that is bounded whatever the lines hold.

`.*` divides a pattern into parts, each found after the one before. Within a part no repeat may be followed by what it
matches itself, nor stand in another repeat: Python's matching then has one way to try from each place in the line.
"""

import importlib
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from exporter.progress.formats import Printed, read_number

MAX_LENGTH = 500
# Alternatives that begin alike, and what may be absent where it may follow too, multiply the ways.
MAX_CHOICES = 32
# What comes later in a line is not searched.
MAX_LINE = 1024

# They become fields of a record; a group of another name is a value.
FIELDS = ("step", "total_steps", "round")
# The last stand for the digits, spaces, letters and other characters that are not ASCII.
_OTHERS = "٣\u2003é→"
_ALL = frozenset([*map(chr, range(128)), *_OTHERS])
_CATEGORIES = {"DIGIT": str.isdecimal, "SPACE": str.isspace, "WORD": lambda char: char.isalnum() or char == "_"}

# How `re` itself reads a pattern; Python has no public name for it.
_parser: Any = importlib.import_module("re._parser")


class Format:
    """Finds a pattern in lines; `names` are those of its values. Raises ValueError for one that is not safe."""

    markers: tuple[bytes, ...] | None = None

    def __init__(self, pattern: str) -> None:
        if not 0 < len(pattern) <= MAX_LENGTH:
            raise ValueError(f"has {len(pattern)} characters; at most {MAX_LENGTH} are allowed")
        self._parts = [_compile(part) for part in _divide(pattern)]
        names = [name for part in self._parts for name in part.groupindex]
        if not names or len(set(names)) < len(names):
            raise ValueError(r"needs named groups, each once, such as step (?P<step>\d+) loss (?P<loss>[-\d.]+)")
        self.names = [name for name in names if name not in FIELDS]
        literal = max((_find_literal(part) for part in self._parts), key=len)
        self.markers = (literal.encode(),) if literal else None

    def is_open(self) -> bool:
        return False

    def parse(self, line: str) -> Iterable[Printed]:
        numbers: dict[str, float] = {}
        place = 0
        for part in self._parts:
            found = part.search(line, place, MAX_LINE)
            if not found:
                return ()
            for name, text in found.groupdict("").items():
                number = read_number(text)
                if number is not None:
                    numbers[name] = number
            place = found.end()
        return (_print(numbers),) if numbers else ()


def _find_literal(part: re.Pattern[str]) -> str:
    """The longest text that every match holds; empty where there is none, or its case is of no account."""
    runs = [""]
    for item in _parser.parse(part.pattern):
        is_literal = str(item[0]) == "LITERAL"
        runs = [*runs[:-1], runs[-1] + chr(item[1])] if is_literal else [*runs, ""]
    return "" if part.flags & re.IGNORECASE else max(runs, key=len)


def _print(numbers: dict[str, float]) -> Printed:
    total, step, round_number = (_whole(numbers.pop(name, None)) for name in ("total_steps", "step", "round"))
    if step is None and round_number is not None:
        return Printed(numbers, round_number, total, "round")
    return Printed(numbers, step, total)


def _whole(number: float | None) -> int | None:
    return int(number) if number is not None and 0 <= number < 1e15 else None


def _divide(pattern: str) -> Iterator[str]:
    """The parts between `.*`, `.*?`, `.+` and `.+?` outside groups and sets; flags at the start go to each part."""
    flags = re.match(r"\(\?[ais]+\)|", pattern)[0]  # type: ignore[index]
    part, depth, place = flags, 0, len(flags)
    is_set = False
    while place < len(pattern):
        width = 2 if pattern[place] == "\\" else 1
        piece = pattern[place : place + width]
        gap = None if depth or is_set else re.compile(r"\.[*+]\??(?![*+{?])").match(pattern, place)
        if gap:
            yield part
            part, place = flags, gap.end()
            continue
        is_set = piece == "[" or (is_set and piece != "]")
        depth += 0 if is_set else (piece == "(") - (piece == ")")
        part, place = part + piece, place + width
    yield part


def _compile(part: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of sets that may mean another thing in a later Python.
            compiled = re.compile(part)
            parsed = _parser.parse(part)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    _Check(bool(compiled.flags & re.IGNORECASE)).sequence(list(parsed), frozenset())
    return compiled


class _Check:
    """Walks a parsed pattern from its end, with what may follow."""

    def __init__(self, ignores_case: bool) -> None:
        self._ignores_case = ignores_case
        self._choices = 1

    def sequence(self, items: list[Any], following: frozenset[str]) -> frozenset[str]:
        """What a sequence may begin with, given what may follow it. Raises ValueError where it is not safe."""
        for item in reversed(items):
            following = self._item(item, following)
        return following

    def _item(self, item: Any, following: frozenset[str]) -> frozenset[str]:
        kind, argument = str(item[0]), item[1]
        if kind == "AT":
            return following
        if kind == "SUBPATTERN":
            return self.sequence(list(argument[3]), following)
        if kind == "BRANCH":
            begins = [self.sequence(list(branch), following) for branch in argument[1]]
            begin = frozenset[str]().union(*begins)
            self._choose(len(begins) if len(begin) < sum(map(len, begins)) else 1)
            return begin
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, body = argument
            return self._repeat(least, most, list(body), following)
        return self._characters(item)

    def _repeat(self, least: int, most: int, body: list[Any], following: frozenset[str]) -> frozenset[str]:
        if most == 1:
            begin = self.sequence(body, following)
            self._choose(2 if begin & following else 1)
            return begin if least else begin | following
        if len(body) != 1:
            raise ValueError("repeats a group; repeat single characters or sets, such as [-\\d.]+")
        repeated = self._characters(body[0])
        if least < most and repeated & following:
            shown = min(repeated & following)
            raise ValueError(
                f"has a repeat that {shown!r} may follow although it matches {shown!r} itself, which may take for ever;"
                " write what ends it instead, such as [^,]+, for \\S+,"
            )
        return repeated if least else repeated | following

    def _choose(self, ways: int) -> None:
        self._choices *= ways
        if self._choices > MAX_CHOICES:
            raise ValueError(f"may match in more than {MAX_CHOICES} ways, by its alternatives and optional parts")

    def _characters(self, item: Any) -> frozenset[str]:
        """What one character may be. Raises ValueError for what is not one character."""
        kind, argument = str(item[0]), item[1]
        if kind == "IN":
            if str(argument[0][0]) == "NEGATE":
                # Not to have one letter of another alphabet is to have the others.
                return _ALL - frozenset[str]().union(*(self._ascii(part) for part in argument[1:]))
            return frozenset[str]().union(*map(self._characters, argument))
        if kind == "ANY":
            return _ALL
        if kind == "CATEGORY":
            name = str(argument).removeprefix("CATEGORY_")
            found = frozenset(filter(_CATEGORIES[name.removeprefix("NOT_")], _ALL))
            return _ALL - found if name.startswith("NOT_") else found
        if kind == "RANGE":
            first, last = argument
            found = frozenset(map(self._fold, map(chr, range(first, min(last, 127) + 1))))
            return found | frozenset(_OTHERS) if last > 127 else found
        if kind == "LITERAL":
            return frozenset({self._fold(chr(argument))}) if argument < 128 else frozenset(_OTHERS)
        if kind == "NOT_LITERAL":
            return _ALL - self._ascii(("LITERAL", argument))
        raise ValueError("uses more than sets, groups, alternatives and repeats")

    def _ascii(self, item: Any) -> frozenset[str]:
        found = self._characters(item)
        return found if str(item[0]) == "CATEGORY" else found - frozenset(_OTHERS)

    def _fold(self, char: str) -> str:
        return char.lower() if self._ignores_case else char
