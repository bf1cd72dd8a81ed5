"""Parses YAML with the line of each value, so that every error can be reported with its line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

Location = tuple[str | int, ...]

_MERGE = "tag:yaml.org,2002:merge"


class Problem(NamedTuple):
    """One error or warning, with its location in the document. A file with warnings only is usable."""

    location: Location
    message: str
    is_warning: bool = False
    line: int | None = None


@dataclass(frozen=True)
class Document:
    """The plain data of a YAML text and the line (from 1) of each key; for a list entry, the line of its value."""

    data: dict[str, Any]
    lines: Mapping[Location, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line_of(self, problem: Problem) -> int:
        """The line of the location, or of the nearest enclosing one in the text."""
        if problem.line is not None:
            return problem.line
        location = problem.location
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def parse(text: str) -> Document:
    """Never executes tags: anything but plain data is a problem, and so is a duplicate key."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return Document({})
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        return Document({}, problems=(_of_yaml(error),))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return Document({}, problems=(Problem((), "a character that YAML does not allow; remove it", line=line),))
    except (ValueError, OverflowError) as error:
        return Document({}, problems=(Problem((), f"not valid YAML: {error}"),))
    except RecursionError:
        return Document({}, problems=(Problem((), "nested too deeply"),))
    if not isinstance(data, dict):
        return Document({}, problems=(Problem((), "not a mapping; write `key: value` lines", line=1),))
    lines: dict[Location, int] = {}
    problems: list[Problem] = []
    for location, line, is_repeated in _walk(node, (), set()):
        if is_repeated:
            message = f"duplicate key, first in line {lines[location]}; remove one"
            problems.append(Problem(location, message, line=line))
        else:
            lines[location] = line
    return Document(data, lines, tuple(problems))


def _of_yaml(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    parts = [part for part in (error.context, error.problem) if part]
    return Problem((), " ".join(", ".join(parts).split()), line=mark.line + 1 if mark else None)


def _walk(node: yaml.Node, location: Location, seen: set[int]) -> Iterator[tuple[Location, int, bool]]:
    """(location, line, whether it is a duplicate key) of everything below a node.

    An anchor is walked once, however often it is used: a few nested aliases expand to millions of values.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: set[str | int] = set()
        for key, value in node.value:
            if key.tag == _MERGE or not isinstance(key, yaml.ScalarNode):
                continue
            below = (*location, key.value)
            yield below, key.start_mark.line + 1, key.value in keys
            keys.add(key.value)
            yield from _walk(value, below, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*location, index), value.start_mark.line + 1, False
            yield from _walk(value, (*location, index), seen)
