"""Reads from the swarm which round and stage it is in; used by the thread that uses the DHT."""

import time

from trainer.protocol import (
    EXPIRATION_SECONDS,
    MAX_CLOCK_DIFFERENCE_SECONDS,
    ROUND_AND_STAGE_KEY,
    RoundAndStage,
)
from trainer.swarm.guide import Expiries, Guide, LeadersWord, read_announcement
from trainer.swarm.records import Found, Node
from trainer.swarm.stage_rewards import find_rewards


class RoundReader:
    """In a signed swarm the announcement is a leader's; in any other one a guide judges it."""

    def __init__(self, swarm: Node, peer_id: str, believed: RoundAndStage | None) -> None:
        """`believed` is where this peer was at last."""
        self._swarm = swarm
        self._guide: Guide | LeadersWord = LeadersWord(believed) if swarm.is_signed else Guide(peer_id, believed)

    @property
    def believed(self) -> RoundAndStage | None:
        """The place that was believed last."""
        return self._guide.believed

    def note(self, place: RoundAndStage) -> None:
        """This peer leads, and announces this place."""
        if isinstance(self._guide, LeadersWord):
            self._guide.note(place)

    def read(self) -> RoundAndStage | None:
        """The swarm's round and stage; None while nobody says, or nothing of it can be believed. Raises SwarmError."""
        found = self._swarm.find(ROUND_AND_STAGE_KEY)
        announced = read_announcement(*found, time.time()) if isinstance(found, Found) else None
        now = time.monotonic()
        if isinstance(self._guide, LeadersWord):
            return self._guide.judge(announced, now)
        rewards = {place: self._read_expiries(place) for place in self._guide.places(announced, now)}
        return self._guide.judge(announced, rewards, now)

    def _read_expiries(self, place: RoundAndStage) -> Expiries:
        latest = time.time() + EXPIRATION_SECONDS + MAX_CLOCK_DIFFERENCE_SECONDS
        return {peer_id: one.expires for peer_id, one in find_rewards(self._swarm, place, latest).items()}
