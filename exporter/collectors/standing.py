"""Rank and reward of this peer, read from the leaderboard."""

from typing import Self

from exporter.collectors import CollectError
from exporter.config import SidecarConfig
from exporter.http_client import HttpClient
from exporter.identity.own_peer import OwnPeer
from exporter.metrics import Sample
from exporter.sources import SourceError, Standing
from exporter.sources.http_leaderboard import read_peer

SOURCE = {"source": "leaderboard"}


class Collector:
    """Reads `/api/peers/{peer id}`; keeps the last values when a read fails."""

    def __init__(self, own: OwnPeer, url: str) -> None:
        self._own = own
        self._url = url
        self._client = HttpClient()
        self._peer_id = ""
        self._own_round: float | None = None
        self._standing: Standing | None = None
        self._success_at: float | None = None

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self | None:
        """None also for a trainer that is in no swarm, beside others that are."""
        if config.leaderboard_url is None or (config.watch is not None and config.watch.swarm is None):
            return None
        return cls(OwnPeer.configured(config), config.leaderboard_url)

    def collect(self, now: float) -> list[Sample]:
        own = self._own.read(now)
        if not own.peer_id:
            raise CollectError(own.problem)
        self._own_round = own.round
        if own.peer_id != self._peer_id:
            self._peer_id, self._standing = own.peer_id, None
        try:
            self._standing = read_peer(self._client, self._url, self._peer_id, now)
        except SourceError as error:
            raise CollectError(str(error), self._samples(up=False)) from None
        self._success_at = now
        return self._samples(up=True)

    def _samples(self, *, up: bool) -> list[Sample]:
        samples = [Sample("swarm_source_up", SOURCE, float(up))]
        if self._success_at is not None:
            samples.append(Sample("swarm_source_success_timestamp_seconds", SOURCE, self._success_at))
        standing = self._standing
        if standing is None:
            return samples
        values = {
            "swarm_rank": standing.rank,
            "swarm_ranked_peers": standing.ranked_peers,
            "swarm_reward_cumulative": standing.reward,
            "swarm_reward_stage": standing.stage_reward,
            "swarm_established_rank": standing.established_rank,
            "swarm_established_peers": standing.established_peers,
        }
        if self._own_round is not None and standing.round is not None:
            values["swarm_round_lag"] = max(0.0, standing.round - self._own_round)
        return samples + [Sample(name, {}, float(value)) for name, value in values.items() if value is not None]
