"""A peer's progress through the swarm's rounds and stages; pure.

A round has stages 0…n-1 of equally many steps. The leader counts rounds up and never goes back. A follower joins the
swarm's current round at its current stage, finishes that round's stages, and waits for the next round.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple, TypeGuard

from trainer.protocol import LATE_ROUNDS, MAX_ROUND, RoundAndStage, read_number, read_round_and_stage

# A board closes a round when it sees the swarm in a later one, which is after the peers are there.
KEPT_ROUNDS = LATE_ROUNDS + 1
# Outputs that a peer publishes in a stage, about.
OUTPUTS_PER_STAGE = 8


@dataclass(frozen=True)
class Plan:
    """How long stages and rounds are; `max_rounds` None means no limit."""

    steps_per_stage: int
    stages_per_round: int
    max_rounds: int | None = None


@dataclass(frozen=True)
class Position:
    """The stage that a peer is in, the steps done in it and the reward earned in it."""

    round: int
    stage: int
    steps: int = 0
    reward: float = 0.0

    @property
    def round_and_stage(self) -> RoundAndStage:
        return RoundAndStage(self.round, self.stage)


class StageSum(NamedTuple):
    """The steps that a peer did in a stage, and the reward that it earned there."""

    steps: int
    reward: float


@dataclass(frozen=True)
class RoundProgress:
    """A peer's position in its run, None between rounds, its last finished round, and all that it ever earned.

    `sums` are what it earned in each stage of the last `KEPT_ROUNDS` rounds, to be published again after a restart.
    """

    position: Position | None = None
    finished_round: int | None = None
    earned: float = field(default=0.0, compare=False)
    sums: Mapping[RoundAndStage, StageSum] = field(default_factory=dict, compare=False)

    @property
    def newest(self) -> RoundAndStage | None:
        """The last stage in which it earned something."""
        return max(self.sums, default=None)

    def is_run_finished(self, plan: Plan) -> bool:
        """Whether no round is left."""
        done = -1 if self.finished_round is None else self.finished_round
        return self.position is None and plan.max_rounds is not None and done + 1 >= plan.max_rounds


def lead(progress: RoundProgress, swarm: RoundAndStage | None, plan: Plan) -> RoundProgress:
    """The leader's progress at its start: the further of its saved one and the one last published to the swarm."""
    position = progress.position or _resume(progress, plan)
    if swarm is not None and swarm > position.round_and_stage:
        joined = _join(progress, RoundAndStage(swarm.round, min(swarm.stage, plan.stages_per_round - 1)), plan)
        position = joined or _next_round(progress, swarm.round, plan)
    return _within(replace(progress, position=position), plan)


def follow(progress: RoundProgress, swarm: RoundAndStage | None, plan: Plan) -> RoundProgress:
    """A follower's progress given the swarm's: it continues, joins, or keeps waiting."""
    if swarm is None:
        return replace(progress, position=None)
    position, newest = progress.position, progress.newest
    if newest is not None and swarm.round < newest.round - 1:
        # The swarm has restarted: its rounds of these numbers are others.
        progress = replace(progress, sums={})
    if position is not None and position.round == swarm.round and position.stage >= swarm.stage:
        return progress
    if _is_done(swarm.round, progress.finished_round) or swarm.stage >= plan.stages_per_round:
        return replace(progress, position=None)
    joined = _join(progress, swarm, plan)
    if joined is None:
        return replace(progress, position=None, finished_round=swarm.round)
    return _within(replace(progress, position=joined), plan)


def advance(progress: RoundProgress, reward: float, plan: Plan, *, leader: bool) -> RoundProgress:
    """The progress after one more step that earned `reward`."""
    at = progress.position
    if at is None:
        return progress
    kept = {place: one for place, one in progress.sums.items() if place.round >= at.round - KEPT_ROUNDS}
    sums = {**kept, at.round_and_stage: StageSum(at.steps + 1, at.reward + reward)}
    progress = replace(progress, earned=progress.earned + reward, sums=sums)
    if at.steps + 1 < plan.steps_per_stage:
        return replace(progress, position=replace(at, steps=at.steps + 1, reward=at.reward + reward))
    following = _join(progress, RoundAndStage(at.round, at.stage + 1), plan)
    if following is not None:
        return replace(progress, position=following)
    progress = replace(progress, finished_round=at.round)
    return _within(replace(progress, position=_next_round(progress, at.round, plan) if leader else None), plan)


def catch_up(progress: RoundProgress, announced: RoundAndStage, plan: Plan) -> RoundProgress:
    """A follower's progress at the end of a stage: more than a round behind, it joins the swarm's current one."""
    position = progress.position
    if position is None or announced.round <= position.round + 1:
        return progress
    return follow(progress, announced, plan)


def keep_up(progress: RoundProgress, furthest: RoundAndStage | None, plan: Plan) -> RoundProgress:
    """A leader's progress where another one led the swarm further: rounds that were announced do not come again."""
    position = progress.position
    if position is None or furthest is None or furthest.round <= position.round:
        return progress
    return lead(progress, furthest, plan)


def count_skipped(last: int | None, joined: int) -> int:
    """The rounds between the one that the peer last played in and the one that it joins now."""
    return max(0, joined - last - 1) if last is not None else 0


def is_published(step: int, plan: Plan) -> bool:
    """Whether the output of this step of a stage is published: a few, and the same at all peers, to be compared."""
    return step % max(1, plan.steps_per_stage // OUTPUTS_PER_STAGE) == 0


def to_record(progress: RoundProgress) -> dict[str, Any]:
    """The form in which progress is saved to disk."""
    return {
        "position": progress.position and asdict(progress.position),
        "finished_round": progress.finished_round,
        "earned": progress.earned,
        "sums": [[*place, *one] for place, one in progress.sums.items()],
    }


def from_record(record: object) -> RoundProgress:
    """Reads what `to_record` wrote; anything else counts as no progress."""
    if not isinstance(record, Mapping):
        return RoundProgress()
    finished = record.get("finished_round")
    position = record.get("position")
    return RoundProgress(
        _position(position) if isinstance(position, Mapping) else None,
        finished if _is_count(finished, MAX_ROUND) else None,
        read_number(record.get("earned"), limit=float("inf")) or 0.0,
        _sums(record.get("sums")),
    )


def list_sums(progress: RoundProgress) -> str:
    """The sums as one word for the log: `round/stage:reward,…`, or `none`."""
    return ",".join(f"{at.round}/{at.stage}:{one.reward:.4f}" for at, one in sorted(progress.sums.items())) or "none"


def further(one: RoundProgress, other: RoundProgress) -> RoundProgress:
    """The progress of two that is further on: what was published once is not earned again."""
    return max(one, other, key=_reached)


def _reached(progress: RoundProgress) -> tuple[int, int, int]:
    position, newest = progress.position, progress.newest
    if position is not None:
        return position.round, position.stage, position.steps
    waiting = (progress.finished_round + 1 if progress.finished_round is not None else -1), -1, 0
    # It waits although it has earned something in the round, where no source announces one.
    return max(waiting, (*newest, progress.sums[newest].steps)) if newest is not None else waiting


def _join(progress: RoundProgress, place: RoundAndStage, plan: Plan) -> Position | None:
    """Where the peer goes on in a round, at this stage or after what it did there; None if the round is done."""
    for stage in range(place.stage, plan.stages_per_round):
        done = progress.sums.get(RoundAndStage(place.round, stage), StageSum(0, 0.0))
        if done.steps < plan.steps_per_stage:
            return Position(place.round, stage, *done)
    return None


def _position(record: Mapping[str, Any]) -> Position | None:
    at = read_round_and_stage([record.get("round"), record.get("stage")])
    steps = record.get("steps")
    reward = read_number(record.get("reward"), limit=float("inf"))
    if at is None or reward is None or not _is_count(steps, 2**53):
        return None
    return Position(at.round, at.stage, steps, reward)


def _sums(record: object) -> dict[RoundAndStage, StageSum]:
    sums: dict[RoundAndStage, StageSum] = {}
    for entry in record if isinstance(record, list) else ():
        if isinstance(entry, list) and len(entry) == 4:
            at, reward = read_round_and_stage(entry[:2]), read_number(entry[3], limit=float("inf"))
            if at is not None and reward is not None and _is_count(entry[2], 2**53):
                sums[at] = StageSum(entry[2], reward)
    return sums


def _resume(progress: RoundProgress, plan: Plan) -> Position:
    """Where a leader goes on that has no position: where it earned last, or after its last round."""
    newest, finished = progress.newest, progress.finished_round
    if newest is not None and (finished is None or newest.round > finished):
        return _join(progress, newest, plan) or _next_round(progress, newest.round, plan)
    return _next_round(progress, -1 if finished is None else finished, plan)


def _next_round(progress: RoundProgress, number: int, plan: Plan) -> Position:
    """Where a leader goes on after a round; in one that it was in before, a swarm that went back comes again."""
    while True:
        number += 1
        position = _join(progress, RoundAndStage(number, 0), plan)
        if position is not None:
            return position


def _is_count(value: object, limit: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit


def _is_done(round_number: int, finished: int | None) -> bool:
    # One round back is a stale read. Further back, the swarm has restarted.
    return finished is not None and finished - 1 <= round_number <= finished


def _within(progress: RoundProgress, plan: Plan) -> RoundProgress:
    position = progress.position
    if position is not None and plan.max_rounds is not None and position.round >= plan.max_rounds:
        done = max(position.round - 1, progress.finished_round or 0)
        return replace(progress, position=None, finished_round=done)
    return progress
