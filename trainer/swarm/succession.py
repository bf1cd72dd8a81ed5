"""Who leads a swarm of one's own: the first of the named peers that gives signs of life; pure.

Every peer that may lead writes a heartbeat. One that is named later leads while all before it have missed two of
theirs; it steps back as soon as one of them is there again. A sign of life is that the record changed, by this peer's
clock alone, so that clocks may differ.
"""

from collections.abc import Mapping, Sequence

MISSED_BEATS = 2
# A peer that was never seen may still be starting.
STARTING_SECONDS = 120.0


class Succession:
    """What one peer knows of those named before it."""

    def __init__(self, peer_id: str, leaders: Sequence[str], beat_seconds: float, now: float) -> None:
        """`now`, here and below, is this process's monotonic clock in seconds."""
        place = leaders.index(peer_id) if peer_id in leaders else len(leaders)
        self.may_lead = place < len(leaders)
        self._seniors = tuple(leaders[:place])
        self._silence = MISSED_BEATS * beat_seconds
        self._began = now
        self._beats: dict[str, tuple[object, float]] = {}

    def observe(self, beats: Mapping[str, object], now: float) -> None:
        """Takes in the newest heartbeat of each peer: anything that differs from the one before."""
        for senior in self._seniors:
            beat = beats.get(senior)
            if beat is not None and (senior not in self._beats or self._beats[senior][0] != beat):
                self._beats[senior] = beat, now

    def leads(self, now: float) -> bool:
        """Whether this peer leads."""
        return self.may_lead and all(self._is_gone(senior, now) for senior in self._seniors)

    def _is_gone(self, senior: str, now: float) -> bool:
        if senior not in self._beats:
            return now - self._began > max(STARTING_SECONDS, self._silence)
        return now - self._beats[senior][1] > self._silence
