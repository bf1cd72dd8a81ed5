"""The peer takes part, but the swarm's contract credits nothing to it.

Its participation, or its own rounds, advance for longer than rewards take to be submitted, and its reward on the
contract stays the same. A peer's training looks healthy then: only the contract tells. Time counts from the last change
of the reward and from the trainer's start, whichever is later, as a restart discards what was not submitted. Contracts
on which the peer's release does not count are left out, and so are sources that cannot be read.

What to do: run `peerwatch doctor`, which says whether the peer is registered, under which account and on which
contract; search the login server's log for failed submissions; log in again where the account's signature is refused,
and update rl-swarm where its contract is an old one.
"""

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, join, say
from alerts.rules import UNKNOWN, Rule, RuleSettings, Verdict, View, active, inactive
from alerts.rules._problems import describe_problem
from alerts.scraping.page import Labels, Page

# What keeps rewards from being credited, before whatever else its log tells.
CAUSES = ("account_collision", "rewards_refused", "not_registered", "nothing_learned")
REWARD = "swarm_source_reward_change_timestamp_seconds"
PARTICIPATION = "swarm_source_participation_change_timestamp_seconds"
ROUND = "swarm_round_change_timestamp_seconds"


class Settings(RuleSettings):
    """From rl-swarm 0.5.7 on, rewards are submitted every three hours, after the round that is then under way."""

    for_: Duration = Field(default=1200.0, alias="for")
    recover_after: Duration = 60.0
    after: Duration = Field(default=6 * 3600.0, description="time of taking part without a change of the reward")


class Uncounted(NamedTuple):
    """For how long the peer took part without credit, on one contract or on all; since when nothing was credited."""

    seconds: float
    credited_at: float
    contract: str


def judge(view: View, settings: Settings) -> Verdict:
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    started = page.value("trainer_start_timestamp_seconds")
    credited = _read_live(page, REWARD)
    if not credited or started is None:
        return UNKNOWN
    worst = max(_measure(page, credited, started), default=None)
    if worst is None or worst.seconds < settings.after:
        return inactive(
            say("The contract credits rewards: {time} ago.", time=Seconds(view.now - max(credited.values())))
        )
    values = {"time": Seconds(view.now - worst.credited_at), "limit": Seconds(settings.after)}
    if worst.contract:
        template = "Takes part, but contract {contract} credited nothing for {time}; limit {limit}."
    else:
        template = "Rounds advance, but no contract credited anything for {time}; limit {limit}."
    found = say(template, contract=worst.contract, **values)
    return active(join([found, describe_problem(page, first=CAUSES)]))


def _measure(page: Page, credited: dict[Labels, float], started: float) -> Iterator[Uncounted]:
    """On each contract by its own participation, and on all of them by the rounds that the trainer goes through."""
    for labels, at in _read_live(page, PARTICIPATION).items():
        if labels in credited:
            last = credited[labels]
            yield Uncounted(at - max(last, started), last, dict(labels).get("contract", ""))
    at_round = page.value(ROUND)
    if at_round is not None:
        last = max(credited.values())
        yield Uncounted(at_round - max(last, started), last, "")


def _read_live(page: Page, metric: str) -> dict[Labels, float]:
    """The samples of sources whose last read succeeded."""
    return {
        labels: value
        for labels, value in page.values(metric).items()
        if page.value("swarm_source_up", source=dict(labels).get("source", "")) == 1
    }


RULE = Rule(
    settings=Settings,
    judge=judge,
    inhibits=("KnownProblem",),
    chart="reward",
    doc=__doc__ or "",
    reads=(REWARD, PARTICIPATION, ROUND),
    promql="""
(
  max without (source, contract) (
    swarm_source_participation_change_timestamp_seconds - swarm_source_reward_change_timestamp_seconds
      >= %(after_seconds)d
    and swarm_source_participation_change_timestamp_seconds - on (instance) group_left trainer_start_timestamp_seconds
      >= %(after_seconds)d
    and on (instance, source) swarm_source_up == 1
  )
  or on (instance)
  (
    swarm_round_change_timestamp_seconds - on (instance) group_left max without (source, contract) (
      swarm_source_reward_change_timestamp_seconds and on (instance, source) swarm_source_up == 1
    ) >= %(after_seconds)d
    and on (instance) swarm_round_change_timestamp_seconds - on (instance) group_left trainer_start_timestamp_seconds
      >= %(after_seconds)d
  )
)
and on (instance) trainer_up == 1
""",
    keeps="""
trainer_up == 1
unless on (instance) (
  trainer_start_timestamp_seconds
  and on (instance) (
    swarm_source_reward_change_timestamp_seconds and on (instance, source) swarm_source_up == 1
  )
)
""",
)
