"""Counts the known problems in a log, and finds why a trainer ended. Pure."""

import re
from typing import NamedTuple

from exporter.problems.classes import CLASSES, find_class
from exporter.problems.problem_class import Class
from exporter.problems.tracebacks import find_exception

MAX_LINE = 2000

# After one of these the trainer has recovered from earlier errors.
PROGRESS = re.compile(
    r"Joining round: \d+|Starting round: \d+/|(Finished t|T)raining round: \d+|Submitting winners for round |"
    r"'reward'|'loss'|\b(?i:step)[= :] ?\d+\b|\bIter \d+: |\bround \d+, stage \d+\b"
)
_PROGRESS_WORDS = ("'reward'", "'loss'", "Finished training round: ", "Submitting winners for round ")
PROGRESS_MARKERS = (*_PROGRESS_WORDS, "ound: ", "round ", "tep ", "tep:", "tep=", "Iter ")

_ORIGINS = {one: one.origin for one in CLASSES if one.origin is not None}
_COLOR = re.compile(r"\x1b\[[0-9;]{0,32}m")


class Cause(NamedTuple):
    """What the end of a log says about why a trainer ended; None where it does not. `times`: lines of the problem."""

    exception: str | None
    problem: Class | None
    times: int = 0


class Tally:
    """The problems in a log that is given by lines: `counts` of lines since the last progress.

    A line has a consequence of an earlier problem once that one's origin was seen.
    """

    def __init__(self) -> None:
        self.counts: dict[Class, int] = {}
        self.has_progressed = False
        self.consequences: tuple[Class, ...] = ()

    def take(self, line: str) -> Class | None:
        """Counts a line; the problem that it tells."""
        line = _clean(line)
        self.consequences += tuple(
            one for one, origin in _ORIGINS.items() if one not in self.consequences and origin.search(line)
        )
        problem = _find_class(line, self.consequences)
        if problem is not None:
            self.counts[problem] = self.counts.get(problem, 0) + 1
        elif _is_progress(line):
            self.has_progressed = True
            self.counts = {one: count for one, count in self.counts.items() if one.outlives_progress}
        return problem


def classify(text: str) -> list[tuple[Class, int]]:
    """The problems since the last progress, with their number of lines, in the order of the table."""
    counts = _tally(text).counts
    return [(problem, counts[problem]) for problem in CLASSES if problem in counts]


def find_cause(text: str) -> Cause:
    """The last exception since the last progress, and the known problem that it is, or that other lines tell."""
    exception, tally = find_exception(map(_clean, text.splitlines()), PROGRESS), _tally(text)
    raised = _find_class(exception, tally.consequences) if exception else None
    others = [one for one in CLASSES if one in tally.counts and not one.is_warning]
    candidates = [one for one in (raised, *others) if one is not None]
    problem = next((one for one in candidates if not one.is_vague), candidates[0] if candidates else None)
    return Cause(exception, problem, tally.counts.get(problem, 1) if problem else 0)


def _tally(text: str) -> Tally:
    tally = Tally()
    for line in text.splitlines():
        tally.take(line)
    return tally


def _is_progress(line: str) -> bool:
    """The same as by the pattern, which is slow on the long lines that most reports are."""
    has_marker = any(marker in line for marker in PROGRESS_MARKERS)
    return any(word in line for word in _PROGRESS_WORDS) or (has_marker and PROGRESS.search(line) is not None)


def _clean(line: str) -> str:
    return _COLOR.sub("", line[:MAX_LINE])


def _find_class(line: str, consequences: tuple[Class, ...]) -> Class | None:
    for one in consequences:
        if one.as_consequence is not None and one.as_consequence.search(line):
            return one
    return find_class(line)
