"""The peer is restarted before it has submitted anything, again and again.

From rl-swarm 0.5.7 on, a peer keeps its rewards in memory and submits them three hours after its start. Each restart
discards them and begins the three hours again, so that a peer that is restarted more often earns nothing, however well
it trains. A change of its reward on the contract, where that is read, proves the opposite.

What to do: find why it is restarted (its log, CrashLoop, `restart: true` of a rule, a timer of your own) and let it run
for longer than the period; restart it right after a submission.
"""

from pydantic import Field

from alerts.i18n.translatable import Seconds, join, say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Severity, Verdict, View, active, inactive
from alerts.rules._problems import describe_frequent_problem
from alerts.rules.crash_loop import SAME_START_SECONDS

PERIOD = "swarm_submit_period_seconds"
REWARD = "swarm_source_reward_change_timestamp_seconds"


class Settings(RuleSettings):
    """Once or twice is an update."""

    severity: Severity = "warning"
    restarts: int = Field(default=3, ge=1, le=100, description="restarts in a row within the period that count")


def remember(view: View, _settings: Settings) -> Memory:
    """The present process's start, how many before it ended within the period, and when the first of them began."""
    page = view.page
    started = page.value("trainer_start_timestamp_seconds") if page else None
    period = page.value(PERIOD) if page else None
    if started is None or period is None:
        return view.memory
    before: float | None = view.memory.get("started")
    if before is not None and abs(started - before) <= SAME_START_SECONDS:
        return view.memory
    if before is None or not 0 < started - before < period:
        return {"started": started, "short": 0, "since": started}
    return {"started": started, "short": view.memory["short"] + 1, "since": view.memory["since"]}


def judge(view: View, settings: Settings) -> Verdict:
    page, memory = view.page, view.memory
    period = page.value(PERIOD) if page else None
    if page is None or period is None or "started" not in memory:
        return UNKNOWN
    lives_for = view.now - memory["started"]
    if page.is_up() and lives_for >= period:
        return inactive(say("Runs for {time}: long enough to submit.", time=Seconds(lives_for)))
    if max(page.values(REWARD).values(), default=0.0) > memory["since"]:
        return inactive(say("The contract has credited rewards since."))
    if memory["short"] < settings.restarts:
        return inactive(say("{count} restarts in a row before a submission.", count=memory["short"]))
    restarted = say(
        "{count} restarts in a row within {period}, before anything was submitted; since {time}; limit {limit}.",
        count=memory["short"],
        period=Seconds(period),
        time=Seconds(view.now - memory["since"]),
        limit=settings.restarts,
    )
    return active(join([restarted, describe_frequent_problem(page)]))


RULE = Rule(settings=Settings, judge=judge, remember=remember, doc=__doc__ or "", reads=(PERIOD, REWARD))
