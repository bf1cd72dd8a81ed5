"""The known problems that a peer's sidecar finds in the log of its running trainer, for the texts of alerts. Pure."""

from collections.abc import Sequence

from alerts.i18n.translatable import Text, say
from alerts.scraping.page import Page
from exporter.problems.classes import CLASSES
from exporter.problems.problem_class import Class

LINES = "trainer_known_problem_lines_total"
START = "trainer_known_problem_start_timestamp_seconds"
LAST = "trainer_known_problem_timestamp_seconds"


def list_problems(page: Page, metric: str) -> list[tuple[Class, float]]:
    """The problems of a metric with its values, in the order of the table; names of other versions are left out."""
    found = {dict(labels).get("problem"): value for labels, value in page.values(metric).items()}
    return [(one, found[one.name]) for one in CLASSES if one.name in found]


def describe_problem(page: Page, *, first: Sequence[str] = ()) -> Text | None:
    """The problem that the log tells since the last progress, one of those named in `first` before others."""
    problems = [one for one, _ in list_problems(page, START)]
    return _describe(min(problems, key=lambda one: (one.name not in first, one.is_warning), default=None))


def describe_frequent_problem(page: Page) -> Text | None:
    """The problem with the most lines since the sidecar runs, one that ends trainers before others."""
    problems = list_problems(page, LINES)
    found = min(problems, key=lambda pair: (pair[0].is_warning, -pair[1]), default=None)
    return _describe(found[0] if found else None)


def _describe(problem: Class | None) -> Text | None:
    if problem is None:
        return None
    return say("Known problem: {problem}. Remedy: {remedy}.", problem=say(problem.message), remedy=say(problem.remedy))
