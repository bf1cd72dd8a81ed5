"""Rank and reward of this peer, read from the leaderboard."""

import json
import math
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from exporter.collectors import CollectError
from exporter.config import SidecarConfig
from exporter.http_client import HttpClient, ReadError
from exporter.metrics import Sample
from exporter.textfile_reader import TextfileReader, value_of

SOURCE = {"source": "leaderboard"}


class PeerRank(NamedTuple):
    """Where a peer stands: rank counts from 1; `round` is the swarm's."""

    rank: int
    total: int
    cumulative: float
    stage_reward: float
    round: int


class Collector:
    """Reads `/api/peers/{peer id}`; the last values stay when a read fails."""

    def __init__(self, textfile: TextfileReader, url: str) -> None:
        self._textfile = textfile
        self._url = url
        self._client = HttpClient()
        self._peer_id = ""
        self._own_round: float | None = None
        self._standing: PeerRank | None = None
        self._success_at: float | None = None

    @classmethod
    def configured(cls, config: SidecarConfig) -> Self | None:
        return cls(config.textfile, config.leaderboard_url) if config.leaderboard_url else None

    def collect(self, now: float) -> list[Sample]:
        self._read_trainer(now)
        if not self._peer_id:
            raise CollectError("the trainer has not named its peer id yet")
        try:
            self._standing = self._read()
        except (ReadError, ValueError) as error:
            raise CollectError(str(error), self._readings(up=False)) from None
        self._success_at = now
        return self._readings(up=True)

    def _read_trainer(self, now: float) -> None:
        try:
            samples = self._textfile.read(now)
        except (OSError, ValueError):
            return
        self._own_round = value_of(samples, "swarm_round")
        peer_id = next((sample.labels["peer_id"] for sample in samples if sample.name == "trainer_info"), "")
        if peer_id and peer_id != self._peer_id:
            self._peer_id, self._standing = peer_id, None

    def _read(self) -> PeerRank | None:
        url = f"{self._url}/api/peers/{quote(self._peer_id, safe='')}"
        status, content_type, body = self._client.get(url)
        if content_type != "application/json" or status not in (200, 404):
            raise ReadError(f"{self._url} answered {status} {content_type}".rstrip())
        return parse(body) if status == 200 else None

    def _readings(self, *, up: bool) -> list[Sample]:
        readings = [Sample("swarm_source_up", SOURCE, float(up))]
        if self._success_at is not None:
            readings.append(Sample("swarm_source_success_timestamp_seconds", SOURCE, self._success_at))
        if self._standing is None:
            return readings
        values = {
            "swarm_rank": self._standing.rank,
            "swarm_ranked_peers": self._standing.total,
            "swarm_reward_cumulative": self._standing.cumulative,
            "swarm_reward_stage": self._standing.stage_reward,
        }
        if self._own_round is not None:
            values["swarm_round_lag"] = max(0.0, self._standing.round - self._own_round)
        return readings + [Sample(name, {}, float(value)) for name, value in values.items()]


def parse(body: bytes) -> PeerRank:
    """Checks an answer of `/api/peers/{id}`. Raises ValueError."""
    try:
        answer = json.loads(body)
        standing = PeerRank(
            rank=_whole(answer["rank"], least=1),
            total=_whole(answer["total"], least=1),
            cumulative=_finite(answer["cumulative"]),
            stage_reward=_finite(answer["stageReward"]),
            round=_whole(answer["round"], least=0),
        )
    except (KeyError, TypeError, ValueError, RecursionError, OverflowError):
        raise ValueError("the leaderboard's answer is not a standing") from None
    if standing.rank > standing.total:
        raise ValueError("the leaderboard's answer ranks the peer behind the last one")
    return standing


def _whole(value: Any, *, least: int) -> int:
    if type(value) is not int or not least <= value < 2**53:
        raise ValueError(value)
    return value


def _finite(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("not a number")
    return float(value)
