"""The peer trains alone: no connection to the swarm, or the swarm takes none of its publications.

Its steps go on, so all else is calm. A peer that is the only one on the board is not isolated, and one that has
published nothing yet and failed at nothing is just beginning.

What to do: check that other peers are reachable and the peer's port is open; search the trainer's log for errors of the
network (of p2pd, where it uses hivemind); restart the peer, so that it joins the swarm again.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive
from alerts.scraping.page import Page


class Settings(RuleSettings):
    """Thresholds of SwarmIsolated."""

    for_: Duration = Field(default=900.0, alias="for")
    recover_after: Duration = 60.0
    unpublished: Duration = Field(default=900.0, description="time of steps since the last publication that counts")


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    connected = page.value("swarm_connected_peers")
    if not page.is_current() or connected is None:
        return UNKNOWN
    ranked = page.value("swarm_ranked_peers") or 0.0
    if connected == 0 and ranked > 1:
        return active(say("Connected to no peer; the board lists {ranked:.0f}.", ranked=ranked))
    unpublished = _find_unpublished_seconds(page)
    if unpublished is not None and unpublished >= settings.unpublished:
        template = "Last publication {time} before the last step; limit {limit}."
        return active(say(template, time=Seconds(unpublished), limit=Seconds(settings.unpublished)))
    return inactive(say("Connected to {connected:.0f} peers and publishing.", connected=connected))


def _find_unpublished_seconds(page: Page) -> float | None:
    """How long steps have gone on since the swarm last took something."""
    last_step = page.value("trainer_last_step_timestamp_seconds")
    published = page.value("swarm_last_publish_timestamp_seconds")
    if published is None and page.value("swarm_publish_failures_total"):
        published = page.value("trainer_start_timestamp_seconds")
    return None if last_step is None or published is None else last_step - published


RULE = Rule(
    settings=Settings,
    judge=judge,
    restart="after a checkpoint",
    doc=__doc__ or "",
    promql="""
(
  swarm_connected_peers == 0 and on (instance) swarm_ranked_peers > 1
  or trainer_last_step_timestamp_seconds - swarm_last_publish_timestamp_seconds >= %(unpublished_seconds)d
  or trainer_last_step_timestamp_seconds - trainer_start_timestamp_seconds >= %(unpublished_seconds)d
    and on (instance) swarm_publish_failures_total > 0
    unless on (instance) swarm_last_publish_timestamp_seconds
)
and on (instance) swarm_connected_peers
and on (instance) trainer_up == 1
and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
""",
    keeps="""
trainer_up == 1
unless on (instance) (
  swarm_connected_peers
  and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
)
""",
)
