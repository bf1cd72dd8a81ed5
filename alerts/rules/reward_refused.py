"""The swarm refuses this peer's reward: what the peer earns is counted nowhere.

Somebody stored a reward under this peer's id that expires later than its own: a second trainer with the same identity,
this peer with a clock that was ahead, or a stranger.

What to do: make sure that no other trainer uses this peer's identity file, and that the clock is right; in a swarm of
your own set `signed: true` in the section `swarm`, so that nobody can write in this peer's name.
"""

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import say
from alerts.rules import Rule, RuleSettings, Verdict, View
from alerts.rules._flag import judge_flag, promql_of_flag

METRIC = "swarm_reward_refused"


class Settings(RuleSettings):
    """Thresholds of RewardRefused."""

    for_: Duration = Field(default=300.0, alias="for")
    recover_after: Duration = 60.0


def judge(view: View, settings: Settings) -> Verdict:
    return judge_flag(
        view,
        METRIC,
        raised=say("The swarm refuses this peer's reward."),
        lowered=say("The swarm takes this peer's reward."),
    )


RULE = Rule(
    settings=Settings,
    judge=judge,
    doc=__doc__ or "",
    promql=promql_of_flag(METRIC),
)
