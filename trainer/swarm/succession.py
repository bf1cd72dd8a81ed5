"""Who leads a swarm of one's own: the first of the named peers that gives signs of life; pure.

Every peer that may lead writes a heartbeat. One that is named later leads while all before it have missed two of
theirs; it steps back as soon as one of them is there again. A sign of life is that the record changed, by this peer's
clock alone, so that clocks may differ.

A peer that comes back knows the swarm's round of an earlier time, and others may have led it further: it leads once it
heard of the swarm, or all others that may lead are gone.
"""

from collections.abc import Mapping, Sequence

MISSED_BEATS = 2
# A peer that was never seen may still be starting.
STARTING_SECONDS = 120.0


class Succession:
    """What one peer knows of the others that may lead."""

    def __init__(
        self, peer_id: str, leaders: Sequence[str], beat_seconds: float, now: float, *, comes_back: bool = False
    ) -> None:
        """`now`, here and below, is this process's monotonic clock in seconds."""
        place = leaders.index(peer_id) if peer_id in leaders else len(leaders)
        self.may_lead = place < len(leaders)
        self._seniors = tuple(leaders[:place])
        self._others = tuple(one for one in leaders if one != peer_id)
        self._is_informed = not comes_back
        self._silence = MISSED_BEATS * beat_seconds
        self._began = now
        self._beats: dict[str, tuple[object, float]] = {}

    def observe(self, beats: Mapping[str, object], now: float) -> None:
        """Takes in the newest heartbeat of each peer: anything that differs from the one before."""
        for other in self._others:
            beat = beats.get(other)
            if beat is not None and (other not in self._beats or self._beats[other][0] != beat):
                self._beats[other] = beat, now
                self._is_informed = True

    def inform(self) -> None:
        """The swarm's round was read."""
        self._is_informed = True

    @property
    def must_hear(self) -> bool:
        """Whether this peer comes back and has not heard of the swarm yet."""
        return self.may_lead and not self._is_informed

    def leads(self, now: float) -> bool:
        """Whether this peer leads."""
        waits_for = self._seniors if self._is_informed else self._others
        return self.may_lead and all(self._is_gone(one, now) for one in waits_for)

    def _is_gone(self, peer_id: str, now: float) -> bool:
        if peer_id not in self._beats:
            return now - self._began > max(STARTING_SECONDS, self._silence)
        return now - self._beats[peer_id][1] > self._silence
