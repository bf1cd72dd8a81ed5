"""Whether this peer leads, and whether the swarm takes its word; used by the thread that uses the DHT."""

import logging
import time
from collections.abc import Mapping

from trainer.protocol import HEARTBEATS_KEY, ROUND_AND_STAGE_KEY, RoundAndStage, read_round_and_stage
from trainer.swarm.outlet import Outlet
from trainer.swarm.records import Found, Node, Telemetry
from trainer.swarm.succession import Succession

log = logging.getLogger(__name__)

# A heartbeat is written at every second flush.
FLUSHES_PER_BEAT = 2


class Leadership:
    """`leads` may be read by any thread."""

    def __init__(
        self, swarm: Node, outlet: Outlet, telemetry: Telemetry, peer_id: str, flush_seconds: float, now: float
    ) -> None:
        self._swarm, self._outlet, self._telemetry, self._peer_id = swarm, outlet, telemetry, peer_id
        self._beat_seconds = FLUSHES_PER_BEAT * flush_seconds
        self._succession = Succession(peer_id, swarm.leaders, self._beat_seconds, now)
        self._beat_at = float("-inf")
        self.leads = swarm.leads or self._succession.leads(now)

    def keep(self, now: float) -> None:
        """Gives a sign of life, and sees who else does, at monotonic time `now`. Raises SwarmError."""
        if not self._succession.may_lead or len(self._swarm.leaders) < 2:
            return
        if now - self._beat_at >= self._beat_seconds:
            self._beat_at = now
            self._swarm.store(HEARTBEATS_KEY, int(time.time()), self._peer_id)
        if self._swarm.leads:
            return
        found = self._swarm.find(HEARTBEATS_KEY)
        if isinstance(found, Mapping):
            self._succession.observe({peer_id: one.expires for peer_id, one in found.items()}, now)
        leads = self._succession.leads(now)
        if leads != self.leads:
            self.leads = leads
            log.warning("this peer leads the swarm: the leader is gone" if leads else "the leader is back, and leads")
            if not leads:
                self._telemetry.set_leader_overruled(False)

    def check(self, announced: RoundAndStage | None, stored: bool | None) -> None:
        """Compares the swarm's round with the announced one, of which `stored` says what became. Raises SwarmError."""
        if not self.leads or announced is None:
            return
        found = self._swarm.find(ROUND_AND_STAGE_KEY)
        shown = read_round_and_stage(found.value) if isinstance(found, Found) else None
        if isinstance(found, Found):
            self._outlet.outlast = found.expires if shown != announced else 0.0
        self._telemetry.set_leader_overruled(stored is False or (shown is not None and shown != announced))
