"""The data of `peerwatch.yaml` with the line of each value, so that every error can be reported with its line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from exporter.files import yaml_text
from exporter.files.yaml_text import Location


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


def parse(content: bytes | str) -> Document:
    """The data; without any where the text is not plain YAML within its bounds."""
    parsed = yaml_text.parse(content)
    problems = (Problem(one.location, one.message, line=one.line) for one in parsed.mistakes)
    return Document(parsed.data, parsed.lines, tuple(problems))
