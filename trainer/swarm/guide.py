"""Which round and stage a swarm is in, where anybody can announce one; pure.

An announcement leads on by a round at most. One from further away counts where peers known for long have written
rewards, more of them than go on around here: so a stranger's word alone leads nobody, and who was led astray finds
back. Without a believable announcement, the rewards of known peers lead on. The first announcement is believed,
as nothing else is known yet; so is, after a while, one further back where nobody goes on here: the swarm was restarted.
"""

from collections.abc import Mapping
from typing import Any

from trainer.protocol import EXPIRATION_SECONDS, MAX_CLOCK_DIFFERENCE_SECONDS, RoundAndStage, read_round_and_stage
from trainer.swarm.succession import STARTING_SECONDS

NEAR_ROUNDS = 1
KNOWN_SECONDS = 600.0
READ_AGAIN_SECONDS = 30.0
RESTART_SECONDS = 600.0
MAX_KNOWN = 10_000

# By peer, when its reward of a stage expires.
Expiries = Mapping[str, float]


def read_announcement(value: object, expires: float, now: float) -> RoundAndStage | None:
    """The announced place at the swarm's time `now`; None where it lives longer than the protocol lets it."""
    if expires > now + EXPIRATION_SECONDS + MAX_CLOCK_DIFFERENCE_SECONDS:
        return None
    return read_round_and_stage(value)


class LeadersWord:
    """What a peer believes of a swarm where only leaders can announce a round.

    A round behind an earlier one is what a leader says that came back and has not heard yet how far others led. It
    will; where it does not within `STARTING_SECONDS`, the swarm begins again.
    """

    def __init__(self, believed: RoundAndStage | None = None) -> None:
        self.believed = believed
        self._behind_since: float | None = None

    def note(self, place: RoundAndStage) -> None:
        """This peer, as leader, says so itself."""
        self.believed = max(place, self.believed or place)

    def judge(self, announced: RoundAndStage | None, now: float) -> RoundAndStage | None:
        """The swarm's place at monotonic time `now`; None while nothing is announced."""
        if announced is None:
            return None
        if self.believed is not None and announced.round < self.believed.round:
            since = self._behind_since = now if self._behind_since is None else self._behind_since
            if now - since < STARTING_SECONDS:
                return self.believed
        self.believed, self._behind_since = announced, None
        return announced


class Guide:
    """What one peer believes; `believed` is None until it knows of any round."""

    def __init__(self, peer_id: str, believed: RoundAndStage | None = None) -> None:
        self.believed = believed
        self._peer_id = peer_id
        self._first_seen: dict[str, float] = {}
        self._newest: dict[str, float] = {}
        self._read_at = float("-inf")
        self._elsewhere: tuple[RoundAndStage, float, Mapping[str, float]] | None = None

    def places(self, announced: RoundAndStage | None, now: float) -> list[RoundAndStage]:
        """The stages whose rewards `judge` needs, at monotonic time `now`."""
        here = self.believed
        if here is None:
            return []
        if announced is not None and self._is_near(announced):
            return [announced] if now - self._read_at >= READ_AGAIN_SECONDS else []
        following = [RoundAndStage(here.round, here.stage + 1), RoundAndStage(here.round + 1, 0)]
        there = [] if announced is None else [RoundAndStage(announced.round, 0), announced]
        return list(dict.fromkeys([here, *following, *there]))

    def judge(
        self, announced: RoundAndStage | None, rewards: Mapping[RoundAndStage, Expiries], now: float
    ) -> RoundAndStage | None:
        """The swarm's place, from the announced one and the rewards that were read, at monotonic time `now`."""
        here = self.believed
        if here is None:
            self.believed = announced
        elif announced is not None and (self._is_near(announced) or self._is_elsewhere(announced, rewards, now)):
            self.believed, self._elsewhere = announced, None
        else:
            voters = self._voters(now)
            written = [
                place
                for place, found in rewards.items()
                if place > here and self._is_near(place) and (voters & found.keys())
            ]
            self.believed = max([here, *written])
        self._remember(rewards, now)
        return self.believed

    def _is_near(self, place: RoundAndStage) -> bool:
        assert self.believed is not None
        return abs(place.round - self.believed.round) <= NEAR_ROUNDS

    def _is_elsewhere(self, announced: RoundAndStage, rewards: Mapping[RoundAndStage, Expiries], now: float) -> bool:
        """Whether the swarm is at a far place that is announced."""
        assert self.believed is not None
        if self._elsewhere is None or self._elsewhere[0].round != announced.round:
            self._elsewhere = announced, now, dict(self._newest)
        _, since, before = self._elsewhere
        voters = self._voters(since)
        there: set[str] = set()
        here: set[str] = set()
        for place, found in rewards.items():
            if place.round == announced.round:
                there |= found.keys()
            elif self._is_near(place):
                here |= {peer_id for peer_id, expires in found.items() if expires > before.get(peer_id, 0.0)}
        candidates = (voters or there | here) - {self._peer_id}
        if candidates & there:
            return len(candidates & there) >= len(candidates & here)
        return announced < self.believed and not here - {self._peer_id} and now - since >= RESTART_SECONDS

    def _voters(self, now: float) -> set[str]:
        """The peers known for long; where nobody is, those known at all."""
        known = {peer_id for peer_id, since in self._first_seen.items() if now - since >= KNOWN_SECONDS}
        return known or set(self._first_seen)

    def _remember(self, rewards: Mapping[RoundAndStage, Any], now: float) -> None:
        for place, found in rewards.items():
            if self.believed is None or not self._is_near(place):
                continue
            self._read_at = now
            for peer_id, expires in found.items():
                if peer_id != self._peer_id and (peer_id in self._first_seen or len(self._first_seen) < MAX_KNOWN):
                    self._first_seen.setdefault(peer_id, now)
                    self._newest[peer_id] = max(expires, self._newest.get(peer_id, 0.0))
