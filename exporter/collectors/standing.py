"""Rank and reward of this peer, read from the leaderboard."""

import json
import math
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from exporter.collectors import CollectError
from exporter.config import Reported, SidecarConfig
from exporter.http_client import HttpClient, ReadError
from exporter.metrics import Sample
from exporter.textfile_reader import value_of

SOURCE = {"source": "leaderboard"}


class PeerRank(NamedTuple):
    """Rank and reward of a peer: `rank` counts from 1; `round` is the swarm's.

    `established_rank` and `established_total` are those among peers that have been there for long, where the board
    says it.
    """

    rank: int
    total: int
    cumulative: float
    stage_reward: float
    round: int
    established_rank: int | None = None
    established_total: int | None = None


class Collector:
    """Reads `/api/peers/{peer id}`; keeps the last values when a read fails."""

    def __init__(self, reported: Reported, url: str) -> None:
        self._reported = reported
        self._url = url
        self._client = HttpClient()
        self._peer_id = ""
        self._own_round: float | None = None
        self._peer_rank: PeerRank | None = None
        self._success_at: float | None = None

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self | None:
        return cls(config.reported, config.leaderboard_url) if config.leaderboard_url else None

    def collect(self, now: float) -> list[Sample]:
        self._read_trainer(now)
        if not self._peer_id:
            raise CollectError("no peer id in trainer.prom yet")
        try:
            self._peer_rank = self._read()
        except (ReadError, ValueError) as error:
            raise CollectError(str(error), self._samples(up=False)) from None
        self._success_at = now
        return self._samples(up=True)

    def _read_trainer(self, now: float) -> None:
        try:
            samples = self._reported.read(now)
        except (OSError, ValueError):
            return
        self._own_round = value_of(samples, "swarm_round")
        peer_id = next((sample.labels["peer_id"] for sample in samples if sample.name == "trainer_info"), "")
        if peer_id and peer_id != self._peer_id:
            self._peer_id, self._peer_rank = peer_id, None

    def _read(self) -> PeerRank | None:
        url = f"{self._url}/api/peers/{quote(self._peer_id, safe='')}"
        status, content_type, body = self._client.get(url)
        if content_type != "application/json" or status not in (200, 404):
            raise ReadError(f"{self._url} answered {status} {content_type}".rstrip())
        return parse(body) if status == 200 else None

    def _samples(self, *, up: bool) -> list[Sample]:
        samples = [Sample("swarm_source_up", SOURCE, float(up))]
        if self._success_at is not None:
            samples.append(Sample("swarm_source_success_timestamp_seconds", SOURCE, self._success_at))
        if self._peer_rank is None:
            return samples
        values = {
            "swarm_rank": self._peer_rank.rank,
            "swarm_ranked_peers": self._peer_rank.total,
            "swarm_reward_cumulative": self._peer_rank.cumulative,
            "swarm_reward_stage": self._peer_rank.stage_reward,
        }
        if self._peer_rank.established_rank is not None:
            values["swarm_established_rank"] = self._peer_rank.established_rank
        if self._peer_rank.established_total is not None:
            values["swarm_established_peers"] = self._peer_rank.established_total
        if self._own_round is not None:
            values["swarm_round_lag"] = max(0.0, self._peer_rank.round - self._own_round)
        return samples + [Sample(name, {}, float(value)) for name, value in values.items()]


def parse(body: bytes) -> PeerRank:
    """Checks an answer of `/api/peers/{id}`. Raises ValueError."""
    try:
        answer = json.loads(body)
        peer_rank = PeerRank(
            rank=_whole(answer["rank"], least=1),
            total=_whole(answer["total"], least=1),
            cumulative=_finite(answer["cumulative"]),
            stage_reward=_finite(answer["stageReward"]),
            round=_whole(answer["round"], least=0),
            established_rank=_whole(answer["establishedRank"], least=1) if "establishedRank" in answer else None,
            established_total=_whole(answer["establishedTotal"], least=1) if "establishedTotal" in answer else None,
        )
    except (KeyError, TypeError, ValueError, RecursionError, OverflowError):
        raise ValueError("the leaderboard's answer is not a peer's rank") from None
    if peer_rank.rank > peer_rank.total or (peer_rank.established_rank or 0) > peer_rank.rank:
        raise ValueError(f"the leaderboard's answer is rank {peer_rank.rank} of {peer_rank.total} peers")
    return peer_rank


def _whole(value: Any, *, least: int) -> int:
    if type(value) is not int or not least <= value < 2**53:
        raise ValueError(value)
    return value


def _finite(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("not a number")
    return float(value)
