"""What the alert loop knows at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alerts.engine.evaluate import AlertStates, Key
from alerts.engine.state import AlertState
from alerts.rules import is_problem
from alerts.scraping.scraper import Scrape


@dataclass(frozen=True)
class Status:
    """The result of the latest evaluation, for readers who come at any time."""

    fleet: str
    now: float = 0.0
    scrapes: Mapping[str, Scrape] = field(default_factory=dict)
    alert_states: AlertStates = field(default_factory=AlertStates)


def describe_alerts(alert_states: AlertStates) -> list[dict[str, Any]]:
    """All problems that are pending or firing, the oldest first."""
    problems = [(key, state) for key, state in alert_states.states.items() if is_problem(key.rule)]
    alerts = sorted(problems, key=lambda one: (one[1].since, one[0]))
    return [_describe_alert(key, state) for key, state in alerts]


def _describe_alert(key: Key, state: AlertState) -> dict[str, Any]:
    return {
        "rule": key.rule,
        "peer": key.peer,
        "severity": state.severity,
        "state": state.phase,
        "since": state.since,
        "summary": state.summary,
    }
