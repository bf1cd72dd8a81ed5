"""A source of the peer's numbers fails, so that rules are blind.

Either the leaderboard does not answer, and rank and reward are stale; or a collector of the sidecar fails, and what it
measures is missing. A trainer that is still starting has not written what the sidecar reads.

What to do: read the sidecar's log, which names the cause; if the source is a leaderboard, check that it runs and knows
any peer.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.rules.peer_down import is_before_first_step
from alerts.scraping.page import Page


class Settings(RuleSettings):
    """SourceDown waits out a leaderboard's restart."""

    severity: Severity = "warning"
    for_: Duration = Field(default=900.0, alias="for")
    recover_after: Duration = 60.0


def judge(view: View, _settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is False or is_before_first_step(page):
        return UNKNOWN
    sources = _failed(page, "swarm_source_up", "source")
    collectors = _failed(page, "sidecar_collector_success", "collector")
    if sources:
        return active(say("Source {names} failed: rank and reward are stale.", names=", ".join(sources)))
    if collectors:
        return active(say("Collectors failed: {names}.", names=", ".join(collectors)))
    if not page.values("sidecar_collector_success"):
        return UNKNOWN
    return inactive(say("All sources and collectors OK."))


def _failed(page: Page, metric: str, label: str) -> list[str]:
    return sorted(dict(labels).get(label, "") for labels, value in page.values(metric).items() if not value)


RULE = Rule(
    settings=Settings,
    judge=judge,
    doc=__doc__ or "",
    promql="""
max without (source, collector) (swarm_source_up == 0 or sidecar_collector_success == 0)
unless on (instance) trainer_up == 0
unless on (instance) (
  trainer_start_timestamp_seconds
  unless on (instance) trainer_last_step_timestamp_seconds >= trainer_start_timestamp_seconds
)
""",
    keeps="""
trainer_up == 0
or trainer_up unless on (instance) sidecar_collector_success
or trainer_start_timestamp_seconds
  unless on (instance) trainer_last_step_timestamp_seconds >= trainer_start_timestamp_seconds
""",
)
