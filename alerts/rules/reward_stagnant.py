"""The peer steps, but the reward that the swarm credits to it does not change.

How long that may last is the peer's own: twice the longest pause between two credits that were seen since its start, in
time and in steps, for some swarms credit each step and others submit every three hours. Until enough credits were seen
it is `unlearned_after`. A board that could not be read is ignored, and the time starts again after it.

What to do: search the trainer's log for failed publishing or submitting; compare the peer id with the one that is
credited; check whether all rewards of the peer are 0; a restart helps where the swarm refuses an old round.
"""

from typing import Any

from pydantic import Field

from alerts.durations import Duration
from alerts.i18n.translatable import Seconds, say
from alerts.rules import UNKNOWN, Memory, Rule, RuleSettings, Verdict, View, active, inactive
from alerts.scraping.page import Page

# Credits closer together than this are one: it decides nothing, and spares the database.
ONE_CREDIT_SECONDS = 300.0
GAPS = 32
LEARNED_GAPS = 3


class Settings(RuleSettings):
    """Thresholds of RewardStagnant."""

    recover_after: Duration = 60.0
    after: Duration = Field(default=3600.0, description="least time without credit that counts, whatever was learned")
    unlearned_after: Duration = Field(
        default=6 * 3600.0, description="time without credit that counts before it has learned"
    )
    least_steps: int = Field(default=20, ge=1, description="least steps without credit that count")


def remember(view: View, _settings: Settings) -> Memory:
    """The credited reward, when and at which step it last moved, and the pauses [seconds, steps] before that."""
    page = view.page
    if page is None or not page.is_up():
        return view.memory
    reward, steps = page.value("swarm_reward_cumulative"), page.value("trainer_steps_total")
    if page.value("swarm_source_up", source="leaderboard") != 1:
        return {name: value for name, value in view.memory.items() if name != "reward"}
    if reward is None or steps is None or not page.is_current():
        return view.memory
    return _note(dict(view.memory), view, reward, steps)


def judge(view: View, settings: Settings) -> Verdict:
    page, memory = view.page, view.memory
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    steps, last_step = page.value("trainer_steps_total"), page.value("trainer_last_step_timestamp_seconds")
    if "reward" not in memory or steps is None or last_step is None:
        return UNKNOWN
    if page.value("swarm_reward_cumulative") != memory["reward"]:
        return inactive(say("Reward grows again: {reward}.", reward=_describe_reward(page)))
    seconds, made = last_step - memory["credited_at"], steps - memory["steps"]
    most_seconds, most_steps = _find_limits(memory.get("gaps", []), settings)
    if seconds < most_seconds:
        return inactive(say("Reward: {reward}.", reward=_describe_reward(page)))
    if made < most_steps:
        return UNKNOWN
    return active(
        say(
            "Reward unchanged at {reward} for {time}, {made:.0f} steps; limit {limit}, {limit_steps:.0f} steps.",
            reward=_describe_reward(page),
            time=Seconds(view.now - memory["credited_at"]),
            made=made,
            limit=Seconds(most_seconds),
            limit_steps=most_steps,
        ),
        since=memory["credited_at"],
    )


def _note(memory: dict[str, Any], view: View, reward: float, steps: float) -> Memory:
    started = view.page.value("trainer_start_timestamp_seconds") if view.page else None
    if memory.get("started") != started or steps < memory.get("steps", 0):
        # Another process counts its steps from 0, and may run at another pace.
        memory = {**memory, "started": started, "steps": 0.0, "gaps": []}
    credit = {"reward": reward, "credited_at": view.now, "steps": steps}
    if "reward" not in memory or not view.clock_stepped_at <= memory["credited_at"] <= view.now:
        return {**memory, **credit}
    gap = [view.now - memory["credited_at"], steps - memory["steps"]]
    if reward == memory["reward"] or gap[0] < ONE_CREDIT_SECONDS:
        return memory
    return {**memory, **credit, "gaps": [*memory.get("gaps", []), gap][-GAPS:]}


def _find_limits(gaps: list[list[float]], settings: Settings) -> tuple[float, float]:
    """Seconds and steps without a credit that count."""
    if len(gaps) < LEARNED_GAPS:
        return settings.unlearned_after, settings.least_steps
    seconds = 2 * min(max(gap[0] for gap in gaps), settings.unlearned_after)
    return max(settings.after, seconds), max(settings.least_steps, 2 * max(gap[1] for gap in gaps))


def _describe_reward(page: Page) -> str:
    reward = page.value("swarm_reward_cumulative")
    return "unknown" if reward is None else f"{reward:.6g}"


RULE = Rule(
    settings=Settings,
    chart="reward",
    judge=judge,
    remember=remember,
    restart="after a checkpoint",
    doc=__doc__ or "",
)
