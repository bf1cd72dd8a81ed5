"""Where a peer is in the swarm's rounds and stages, and where it goes next; pure.

A round has stages 0…n-1 of equally many steps. The leader counts rounds up and never goes back. A follower joins the
swarm's current round at its current stage, finishes that round's stages, and waits for a round that it has not done.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeGuard

from trainer.protocol import MAX_ROUND, RoundAndStage, read_number, read_round_and_stage


@dataclass(frozen=True)
class Plan:
    """How long stages and rounds are; `max_rounds` None means without end."""

    steps_per_stage: int
    stages_per_round: int
    max_rounds: int | None = None


@dataclass(frozen=True)
class Position:
    """The stage that a peer is in: steps done in it, and the rewards that it earned in it."""

    round: int
    stage: int
    steps: int = 0
    reward: float = 0.0

    @property
    def round_and_stage(self) -> RoundAndStage:
        return RoundAndStage(self.round, self.stage)


@dataclass(frozen=True)
class RoundProgress:
    """A peer's place in its run: in a stage (`position`), or between rounds (None); and its last finished round."""

    position: Position | None = None
    finished_round: int | None = None

    def is_run_finished(self, plan: Plan) -> bool:
        """Whether no round is left to do."""
        done = -1 if self.finished_round is None else self.finished_round
        return self.position is None and plan.max_rounds is not None and done + 1 >= plan.max_rounds


def lead(standing: RoundProgress, swarm: RoundAndStage | None, plan: Plan) -> RoundProgress:
    """The leader's place at its start: the further of what it remembers and what the swarm was last told."""
    position = standing.position
    if position is None and standing.finished_round is not None:
        position = Position(standing.finished_round + 1, 0)
    if swarm is not None and (position is None or swarm > position.round_and_stage):
        stage = min(swarm.stage, plan.stages_per_round - 1)
        position = Position(swarm.round, stage)
    return _within(RoundProgress(position or Position(0, 0), standing.finished_round), plan)


def follow(standing: RoundProgress, swarm: RoundAndStage | None, plan: Plan) -> RoundProgress:
    """A follower's place once it heard where the swarm is: it goes on, joins, or keeps waiting."""
    if swarm is None:
        return replace(standing, position=None)
    position = standing.position
    if position is not None and position.round == swarm.round and position.stage >= swarm.stage:
        return standing
    if _is_done(swarm.round, standing.finished_round) or swarm.stage >= plan.stages_per_round:
        return replace(standing, position=None)
    return _within(RoundProgress(Position(*swarm), standing.finished_round), plan)


def advance(standing: RoundProgress, reward: float, plan: Plan, *, leader: bool) -> RoundProgress:
    """The place after one more step that earned `reward`."""
    at = standing.position
    if at is None:
        return standing
    if at.steps + 1 < plan.steps_per_stage:
        return replace(standing, position=replace(at, steps=at.steps + 1, reward=at.reward + reward))
    if at.stage + 1 < plan.stages_per_round:
        return replace(standing, position=Position(at.round, at.stage + 1))
    following = Position(at.round + 1, 0) if leader else None
    return _within(RoundProgress(following, at.round), plan)


def to_record(standing: RoundProgress) -> dict[str, Any]:
    """What is kept on disk between two starts."""
    return asdict(standing)


def from_record(record: object) -> RoundProgress:
    """Reads what `to_record` wrote; what is not of that form counts as nothing remembered."""
    if not isinstance(record, Mapping):
        return RoundProgress()
    finished = record.get("finished_round")
    position = record.get("position")
    return RoundProgress(
        _position(position) if isinstance(position, Mapping) else None,
        finished if _is_count(finished, MAX_ROUND) else None,
    )


def _position(record: Mapping[str, Any]) -> Position | None:
    at = read_round_and_stage([record.get("round"), record.get("stage")])
    steps = record.get("steps")
    reward = read_number(record.get("reward"), limit=float("inf"))
    if at is None or reward is None or not _is_count(steps, 2**53):
        return None
    return Position(at.round, at.stage, steps, reward)


def _is_count(value: object, limit: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit


def _is_done(round_number: int, finished: int | None) -> bool:
    # One round back is a stale read of a swarm that moves on. Further back, the swarm has started anew.
    return finished is not None and finished - 1 <= round_number <= finished


def _within(standing: RoundProgress, plan: Plan) -> RoundProgress:
    position = standing.position
    if position is not None and plan.max_rounds is not None and position.round >= plan.max_rounds:
        return RoundProgress(None, max(position.round - 1, standing.finished_round or 0))
    return standing
