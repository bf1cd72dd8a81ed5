"""This peer leads the swarm, and the swarm does not take its word: it shows another round, or refuses the announcement.

Somebody else announces rounds there, with a record that expires later than this leader's: a second leader, an earlier
one whose clock is ahead, or a stranger. Peers that follow that one train apart from the others.

What to do: make sure that only one peer is configured as the swarm's leader, and that its clock is right; in a swarm of
your own set `signed: true` in the section `swarm`, so that no stranger's announcement counts.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive


class Settings(RuleSettings):
    """Thresholds of LeaderOverruled."""

    for_: Duration = Field(default=120.0, alias="for")
    recover_after: Duration = 60.0


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    overruled = page.value("swarm_leader_overruled")
    if overruled is None:
        return UNKNOWN
    if overruled:
        return active(say("The swarm shows another round than this leader announces."))
    return inactive(say("The swarm shows the round that this leader announces."))


RULE = Rule(
    settings=Settings,
    judge=judge,
    doc=__doc__ or "",
    promql="swarm_leader_overruled == 1 and on (instance) trainer_up == 1",
)
