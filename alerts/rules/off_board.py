"""The peer trains and publishes, but is not on the swarm's board.

Only a board that could be read and that lists others counts: an empty board is a failed read. A peer that has not
published yet cannot be listed.

What to do: compare the peer id on the status page with the one you expect: where a key file is the identity
(identity.pem, swarm.pem), a lost one makes a new peer; search the trainer's log for failed publishing, and check that
the leaderboard is in the same swarm as the peer.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive


class Settings(RuleSettings):
    """OffBoard waits longer than a stage of most swarms takes."""

    for_: Duration = Field(default=1800.0, alias="for")
    recover_after: Duration = 60.0


def judge(view: View, _settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    if page.value("swarm_source_up", source="leaderboard") != 1 or not page.is_current():
        return UNKNOWN
    rank = page.value("swarm_rank")
    if rank is not None:
        return inactive(say("On the board at rank {rank:.0f}.", rank=rank))
    if page.value("swarm_last_publish_timestamp_seconds") is None:
        return UNKNOWN
    return active(say("Trains and publishes, but is not on the board: no rank."))


RULE = Rule(
    settings=Settings,
    chart="rank",
    judge=judge,
    doc=__doc__ or "",
    promql="""
trainer_up == 1
and on (instance) swarm_source_up{source="leaderboard"} == 1
and on (instance) swarm_last_publish_timestamp_seconds
and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
unless on (instance) swarm_rank
""",
    keeps="""
trainer_up == 1
unless on (instance) (
  swarm_source_up{source="leaderboard"} == 1
  and on (instance) trainer_phase_start_timestamp_seconds >= trainer_start_timestamp_seconds
)
or trainer_up == 1 unless on (instance) swarm_rank unless on (instance) swarm_last_publish_timestamp_seconds
""",
)
