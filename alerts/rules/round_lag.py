"""The peer is rounds behind the swarm and does not catch up.

A peer that is slower than the swarm finishes its round late and then joins the current one; that is no lag. A peer that
waits for a round while the swarm is already in a later one, or that trains rounds behind for long, is left behind.

The swarm's round is the board's, or that of another source, such as the contract on which the peer's rewards count.

What to do: search the trainer's log for failed reads of the swarm's round; restart the peer, so that it joins the
current round; if it is just slower than the others, shorten its completions or choose a smaller model.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.scraping.page import Page


class Settings(RuleSettings):
    """Thresholds of RoundLag. rl-swarm's own trainers check for a new round at least every 15 minutes."""

    severity: Severity = "warning"
    for_: Duration = Field(default=1200.0, alias="for")
    recover_after: Duration = 60.0
    rounds: int = Field(default=3, ge=1, description="rounds behind at which it fires while the peer trains")
    rounds_waiting: int = Field(default=1, ge=1, description="rounds behind at which it fires while the peer waits")


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    lag = _read_lag(page)
    if lag is None or not page.is_current():
        return UNKNOWN
    state = page.state()
    limit = settings.rounds_waiting if state == "waiting" else settings.rounds
    if lag >= limit:
        own, values = page.value("swarm_round"), {"lag": lag, "state": state or "running", "limit": limit}
        if own is None:
            return active(say("{lag:.0f} rounds behind the swarm while {state}; limit {limit}.", **values))
        template = "{lag:.0f} rounds behind the swarm (in round {own:.0f}) while {state}; limit {limit}."
        return active(say(template, own=own, **values))
    if lag:
        return inactive(say("{lag:.0f} rounds behind the swarm.", lag=lag))
    return inactive(say("In the swarm's round."))


def _read_lag(page: Page) -> float | None:
    """The board's word, else the largest of the sources that can be read."""
    if page.value("swarm_source_up", source="leaderboard") == 1 and (lag := page.value("swarm_round_lag")) is not None:
        return lag
    lags = page.values("swarm_source_round_lag").items()
    return max((lag for labels, lag in lags if page.value("swarm_source_up", **dict(labels)) == 1), default=None)


# Rounds behind, as `_read_lag` has them.
_LAG = """
(
  swarm_round_lag and on (instance) swarm_source_up{source="leaderboard"} == 1
  or on (instance) max without (source) (swarm_source_round_lag and on (instance, source) swarm_source_up == 1)
)
""".strip()

RULE = Rule(
    settings=Settings,
    judge=judge,
    restart="after a checkpoint",
    doc=__doc__ or "",
    promql=f"""
(
  {_LAG} >= %(rounds)d
  or {_LAG} >= %(rounds_waiting)d and on (instance) trainer_state{{trainer_state="waiting"}} == 1
)
and on (instance) trainer_up == 1
and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
""",
    keeps=f"""
trainer_up == 1
unless on (instance) (
  {_LAG}
  and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
)
""",
    reads=("swarm_source_round_lag",),
)
