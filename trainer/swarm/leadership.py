"""Whether this peer leads, and whether the swarm takes its word; used by the thread that uses the DHT."""

import logging
import time
from collections.abc import Mapping

from trainer.protocol import (
    HEARTBEATS_KEY,
    ROUND_AND_STAGE_KEY,
    RoundAndStage,
    heartbeat_value,
    read_heartbeat,
    read_round_and_stage,
)
from trainer.swarm.outlet import Outlet
from trainer.swarm.records import Found, Node, Telemetry
from trainer.swarm.succession import Succession

log = logging.getLogger(__name__)

# A heartbeat is written at every second flush.
FLUSHES_PER_BEAT = 2


class Leadership:
    """`leads` and `furthest` may be read by any thread.

    `furthest` is the furthest place of a signed swarm that one of those who may lead it has named, or None: its rounds
    never go back behind that.
    """

    def __init__(
        self,
        swarm: Node,
        outlet: Outlet,
        telemetry: Telemetry,
        peer_id: str,
        flush_seconds: float,
        now: float,
        *,
        saved: RoundAndStage | None = None,
    ) -> None:
        """`saved` is where this peer was at last, if it comes back."""
        self._swarm, self._outlet, self._telemetry, self._peer_id = swarm, outlet, telemetry, peer_id
        self._beat_seconds = FLUSHES_PER_BEAT * flush_seconds
        leaders = list(swarm.leaders)
        if swarm.leads:
            leaders = [peer_id, *(one for one in leaders if one != peer_id)]
        self._others = frozenset(leaders) - {peer_id}
        self._succession = Succession(peer_id, leaders, self._beat_seconds, now, comes_back=saved is not None)
        self._beat_at = float("-inf")
        self.leads = self._succession.leads(now)
        self.furthest: RoundAndStage | None = None

    @property
    def looks_for_others(self) -> bool:
        """Whether it has still to hear of the swarm, before it may lead."""
        return not self.leads and self._succession.must_hear

    def keep(self, now: float, place: RoundAndStage | None) -> None:
        """Gives a sign of life, and sees who else does, at monotonic time `now`. Raises SwarmError.

        `place` is the furthest one of the swarm that this peer knows.
        """
        if not self._succession.may_lead or not self._others:
            return
        if now - self._beat_at >= self._beat_seconds:
            self._beat_at = now
            self._swarm.store(HEARTBEATS_KEY, heartbeat_value(time.time(), place), self._peer_id)
        found = self._swarm.find(HEARTBEATS_KEY)
        if isinstance(found, Mapping):
            for one in found.keys() & self._others:
                self._note(read_heartbeat(found[one].value))
            self._succession.observe({peer_id: one.expires for peer_id, one in found.items()}, now)
        self._decide(now)

    def inform(self, place: RoundAndStage, now: float) -> None:
        """The swarm's place was read, at monotonic time `now`."""
        self._note(place)
        self._succession.inform()
        self._decide(now)

    def check(self, announced: RoundAndStage | None, stored: bool | None) -> None:
        """Compares the swarm's round with the announced one, of which `stored` says what became. Raises SwarmError."""
        if not self.leads or announced is None:
            return
        found = self._swarm.find(ROUND_AND_STAGE_KEY)
        shown = read_round_and_stage(found.value) if isinstance(found, Found) else None
        self._note(shown)
        if isinstance(found, Found):
            self._outlet.outlast = found.expires if shown != announced else 0.0
        self._telemetry.set_leader_overruled(stored is False or (shown is not None and shown != announced))

    def _note(self, place: RoundAndStage | None) -> None:
        # In any other swarm a stranger can name any place.
        if place is not None and self._swarm.is_signed:
            self.furthest = max(place, self.furthest or place)

    def _decide(self, now: float) -> None:
        leads = self._succession.leads(now)
        if leads != self.leads:
            self.leads = leads
            log.warning("this peer leads the swarm now" if leads else "a peer named before this one is back, and leads")
            if not leads:
                self._telemetry.set_leader_overruled(False)
