"""Our own engine on a scraped history: which alert fires at which evaluation."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from alerts.engine.evaluate import ActiveRule, AlertStates, evaluate
from alerts.engine.state import AlertState, Moment
from alerts.rules import View, discover
from alerts.scraping.page import Labels, Page
from tests.alerts.rules.scenarios import split_sample


class Evaluation(NamedTuple):
    """One evaluation: when, the page of the latest scrape (None: it failed), and when a scrape last succeeded."""

    at: float
    page: str | None
    scraped_at: float


class Course(NamedTuple):
    """Whether the alert fires after each evaluation; `is_interrupted`: a duration under way met an unknown verdict."""

    fires: list[bool]
    is_interrupted: bool


def active_rules(settings: dict[str, dict[str, Any]]) -> list[ActiveRule]:
    return [
        ActiveRule(name, rule, rule.settings.model_validate(settings.get(name, {})))
        for name, rule in discover().items()
        if rule.is_problem
    ]


def replay(evaluations: Sequence[Evaluation], rules: Sequence[ActiveRule], *, is_host: bool) -> dict[str, Course]:
    """The course of each rule's alert."""
    scope = "host" if is_host else "peer"
    alert_states, before = AlertStates(), evaluations[0].at
    fires: dict[str, list[bool]] = {one.name: [] for one in rules if one.rule.scope == scope}
    interrupted: set[str] = set()
    for one in evaluations:
        page = _read(one.page) if one.page is not None else None
        failure = "" if page else "no connection"
        view = View("a", one.at, page, failure, one.at - one.scraped_at, scope=scope)
        moment = Moment(one.at, one.at - before)
        was = alert_states
        alert_states, _ = evaluate([view], rules, was, moment, reminder_seconds=0)
        interrupted |= {
            key.rule for key, state in alert_states.states.items() if _stands_still(was.states.get(key), state)
        }
        firing = {key.rule for key, state in alert_states.states.items() if state.phase == "firing"}
        for name, phases in fires.items():
            phases.append(name in firing)
        before = one.at
    return {name: Course(phases, name in interrupted) for name, phases in fires.items()}


def _stands_still(before: AlertState | None, after: AlertState) -> bool:
    """Whether a duration was under way and did not go on."""
    if before is None or before.phase != after.phase:
        return False
    if after.phase == "pending":
        return before.held_seconds == after.held_seconds
    return after.cleared_seconds is not None and before.cleared_seconds == after.cleared_seconds


def evaluations_of(pages: Sequence[str | None], begin: float, tick: float) -> list[Evaluation]:
    """Each page evaluated at the instant of its scrape."""
    evaluations, scraped_at = [], begin
    for number, page in enumerate(pages):
        at = begin + number * tick
        scraped_at = at if page is not None else scraped_at
        evaluations.append(Evaluation(at, page, scraped_at))
    return evaluations


def _read(page: str) -> Page:
    """Much faster than the loop's own parser, which is tested elsewhere."""
    samples: dict[str, dict[Labels, float]] = {}
    for line in page.splitlines():
        name, labels, value = split_sample(line)
        samples.setdefault(name, {})[frozenset(labels.items())] = value
    return Page(samples)
