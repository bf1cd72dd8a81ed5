"""This peer leads the swarm, and the swarm does not take its word: it shows another round, or refuses the announcement.

Somebody else announces rounds there, with a record that expires later than this leader's: a second leader, an earlier
one whose clock is ahead, or a stranger. Peers that follow that one train apart from the others.

What to do: make sure that only one peer is configured as the swarm's leader, and that its clock is right; in a swarm of
your own set `signed: true` in the section `swarm`, so that no stranger's announcement counts.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import say
from alerts.rules import Rule, RuleSettings, Verdict, View
from alerts.rules._flag import judge_flag, promql_of_flag

METRIC = "swarm_leader_overruled"


class Settings(RuleSettings):
    """Thresholds of LeaderOverruled."""

    for_: Duration = Field(default=120.0, alias="for")
    recover_after: Duration = 60.0


def judge(view: View, settings: Settings) -> Verdict:
    return judge_flag(
        view,
        METRIC,
        raised=say("The swarm shows another round than this leader announces."),
        lowered=say("The swarm shows the round that this leader announces."),
    )


RULE = Rule(
    settings=Settings,
    judge=judge,
    doc=__doc__ or "",
    promql=promql_of_flag(METRIC),
)
