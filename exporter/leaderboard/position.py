"""The swarm's round and stage, from what peers publish and despite false claims; pure.

`rl_swarm_rs` announces (round, stage), but anybody can write it, and under testnet coordination nobody does. So the
frontier, the newest place whose rewards count, moves on evidence:

- Near: a place up to `NEAR_ROUNDS` ahead is reached when it holds rewards and is not beyond the announcement, or when
  a voter wrote there. With nothing announced, any rewards up to the next round will do.
- Far ahead or behind: after `POLLS_TO_MOVE` polls in which more voters wrote there than around the frontier, without
  one in between to the contrary. A move behind is a restarted swarm and begins a new epoch: rounds of the same
  number count anew.

Voters are our own peers (`names`); without any, everybody. One wrote somewhere when its record there is newer than
all that we had seen of it. The place that a far move left stays watched, and leads back under the same rule, so a
false announcement costs a detour and not the board. Until the first reward is known, any announcement is accepted.

Peers publish their last sums again when they were away, so that rewards count some rounds late. What is late moves
nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from trainer.protocol import LATE_ROUNDS, RoundAndStage

NEAR_ROUNDS = 20
OPEN_ROUNDS_BACK = 1
POLLS_TO_MOVE = 3
MAX_PLACES = 64
MOST_STAGES = 10


class Evidence(NamedTuple):
    """What a place holds: rewards of any peer, and how many voters wrote there since the last poll."""

    rewards: bool
    voters: int


@dataclass(frozen=True)
class Position:
    """`frontier`: None until anything is known; `stages`: how many a round has, as far as seen."""

    frontier: RoundAndStage | None = None
    epoch: int = 0
    stages: int = 3
    left: RoundAndStage | None = None
    polls_elsewhere: int = 0

    @property
    def open_from(self) -> RoundAndStage:
        """The oldest place that peers still work at."""
        newest = self.frontier.round if self.frontier else 0
        return RoundAndStage(max(0, newest - OPEN_ROUNDS_BACK), 0)

    @property
    def counted_from(self) -> RoundAndStage:
        """The oldest place whose rewards still count."""
        newest = self.frontier.round if self.frontier else 0
        return RoundAndStage(max(0, newest - LATE_ROUNDS), 0)

    def is_near(self, place: RoundAndStage) -> bool:
        newest = self.frontier.round if self.frontier else place.round
        return newest - OPEN_ROUNDS_BACK <= place.round <= newest + NEAR_ROUNDS

    def reported(self, announced: RoundAndStage | None) -> RoundAndStage | None:
        """The swarm's place as users see it: the announced one where that is believable."""
        return announced if announced is not None and self.is_near(announced) else self.frontier


def places_to_read(position: Position, announced: RoundAndStage | None) -> list[RoundAndStage]:
    """Ascending: what is open, what may come next (at most `MAX_PLACES`), and around places far away."""
    frontier = position.frontier or announced or RoundAndStage(0, 0)
    near = announced if announced is not None and position.is_near(announced) else frontier
    last = max(frontier.round + 1, near.round)
    # The oldest first: what does not fit is read next time, when the frontier has moved, and nothing is skipped.
    places = _rounds(max(0, frontier.round - OPEN_ROUNDS_BACK), last, position.stages)[:MAX_PLACES]
    places += [place for place in (frontier, near) if place not in places]
    for far in (announced, position.left):
        if far is not None and not position.is_near(far):
            places += [far, *_rounds(max(0, far.round - OPEN_ROUNDS_BACK), far.round + 1, position.stages)]
    return sorted(set(places))


def late_places(position: Position, announced: RoundAndStage | None, turn: int) -> list[RoundAndStage]:
    """The stages of one of the rounds whose rewards count late, another one each turn; none of a restarted swarm's."""
    if announced is not None and not position.is_near(announced):
        return []
    first, end = position.counted_from.round, position.open_from.round
    if first == end:
        return []
    number = first + turn % (end - first)
    return [RoundAndStage(number, stage) for stage in range(position.stages)]


def closing_places(position: Position, open_from: RoundAndStage) -> list[RoundAndStage]:
    """The stages from `open_from` whose rewards no longer count after this poll; the last ones of too many."""
    first, end = open_from.round, position.counted_from.round
    first = max(first, end - MAX_PLACES // position.stages)
    return [RoundAndStage(number, stage) for number in range(first, end) for stage in range(position.stages)]


def follow(
    position: Position,
    announced: RoundAndStage | None,
    found: Mapping[RoundAndStage, Evidence],
    *,
    is_board_empty: bool,
) -> Position:
    """The position after a poll that found `found`."""
    frontier = position.frontier
    if frontier is None or (is_board_empty and announced is not None):
        start = announced or max((place for place, evidence in found.items() if evidence.rewards), default=None)
        return position if start is None else _at(Position(epoch=position.epoch, stages=position.stages), start)
    position = _follow_left(position, found)
    here = sum(evidence.voters for place, evidence in found.items() if position.is_near(place))
    away = {place: evidence.voters for place, evidence in found.items() if not position.is_near(place)}
    if sum(away.values()) <= here:
        polls = 0 if here else position.polls_elsewhere
        return _advance(replace(position, polls_elsewhere=polls), announced, found)
    if position.polls_elsewhere + 1 < POLLS_TO_MOVE:
        return replace(position, polls_elsewhere=position.polls_elsewhere + 1)
    target = max((place for place, voters in away.items() if voters), key=lambda place: (away[place], place))
    epoch = position.epoch + (target < frontier)
    return _at(replace(position, epoch=epoch, left=frontier, polls_elsewhere=0), target)


def _advance(position: Position, announced: RoundAndStage | None, found: Mapping[RoundAndStage, Evidence]) -> Position:
    assert position.frontier is not None
    near = announced if announced is not None and position.is_near(announced) else None
    reached = [
        place
        for place, evidence in found.items()
        if place > position.frontier
        and position.is_near(place)
        and evidence.rewards
        and (evidence.voters > 0 or announced is None or (near is not None and place <= near))
    ]
    return _at(position, max(reached)) if reached else position


def _follow_left(position: Position, found: Mapping[RoundAndStage, Evidence]) -> Position:
    """Keeps up with a swarm that goes on at the place which a far move left."""
    if position.left is None or position.is_near(position.left):
        return replace(position, left=None)
    around = Position(frontier=position.left)
    written = [place for place, evidence in found.items() if evidence.voters and around.is_near(place)]
    return replace(position, left=max([position.left, *(p for p in written if not position.is_near(p))]))


def _at(position: Position, place: RoundAndStage) -> Position:
    return replace(position, frontier=place, stages=max(position.stages, min(place.stage + 1, MOST_STAGES)))


def _rounds(first: int, last: int, stages: int) -> list[RoundAndStage]:
    """Every stage from `first` to `last`, and one beyond the known number in the first two rounds, to detect more."""
    return [
        RoundAndStage(number, stage)
        for number in range(first, last + 1)
        for stage in range(stages + (number <= first + OPEN_ROUNDS_BACK and stages < MOST_STAGES))
    ]
