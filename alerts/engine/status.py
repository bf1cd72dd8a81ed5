"""The result of the latest evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from alerts.engine.evaluate import AlertStates
from alerts.scraping.scraper import Scrape


@dataclass(frozen=True)
class Status:
    """The result of the latest evaluation, as API, page and messages read it."""

    fleet: str
    now: float = 0.0
    scrapes: Mapping[str, Scrape] = field(default_factory=dict)
    alert_states: AlertStates = field(default_factory=AlertStates)
