"""A leaderboard over HTTP: ours, or that of rl-swarm 0.3 and 0.4 (`web/api/server.py`).

Ours tells rank and sum of one peer in a small answer. Theirs is a whole board, whose "cumulative" score is overwritten
by the stage's at the next poll: it says a rank and the stage's reward, and no sum over rounds. It answers any unknown
path with its page and status 200, and an "OK" of its health only says that its loop runs: a board that does not
change is old.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self
from urllib.parse import quote

from exporter.http_client import HttpClient, name_host
from exporter.sources import SourceError, Standing
from exporter.sources._answers import MAX_VALUE, get_json, read_name, read_place, read_whole
from exporter.sources._options import SourceOptions
from trainer.protocol import is_peer_id, read_number

EXAMPLE = "http://127.0.0.1:8000"

TIMEOUT_SECONDS = 10.0
# A board of 4000 peers with 30 points each.
MAX_BYTES = 8 << 20
# The server's own limit of its health.
MAX_POLL_AGE_SECONDS = 300.0
# A board that has lost half of its peers is believed when it says so so often.
SHORT_READS = 3

_DURATION = re.compile(r"P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?")


class Source:
    """Reads one leaderboard; remembers of its last board how long it was, and since when it is the same."""

    OPTIONS: ClassVar[tuple[str, ...]] = ("url", "interval_seconds", "stale_after_seconds")

    def __init__(
        self,
        url: str,
        *,
        interval_seconds: float = 30.0,
        stale_after_seconds: float = 3600.0,
        client: HttpClient | None = None,
    ) -> None:
        self.interval_seconds = interval_seconds
        self._stale_after_seconds = stale_after_seconds
        self._url, self._host = url, name_host(url)
        self._client = client or HttpClient(timeout_seconds=TIMEOUT_SECONDS, max_bytes=MAX_BYTES)
        self._is_ours = False
        self._content = b""
        self._changed_at = 0.0
        self._length = 0
        self._short_reads = 0

    @classmethod
    def configured(cls, options: Mapping[str, Any]) -> Self:
        given = SourceOptions(options, cls.OPTIONS)
        return cls(
            given.address("url", default=None, example=EXAMPLE),
            interval_seconds=given.seconds(
                "interval_seconds", default=30, least=10, why="the server reads its swarm every 10 seconds"
            ),
            stale_after_seconds=given.seconds(
                "stale_after_seconds", default=3600, least=60, why="no peer is rewarded more often than in some minutes"
            ),
        )

    def read(self, peer_ids: Sequence[str], now: float) -> Sequence[Standing]:
        """The standings of those that are peer ids."""
        asked = [peer_id for peer_id in dict.fromkeys(peer_ids) if is_peer_id(peer_id)]
        self._check_health()
        if not asked:
            return []
        was_ours, self._is_ours = self._is_ours, False
        try:
            found = [read_peer(self._client, self._url, peer_id, now) for peer_id in asked]
        except SourceError:
            # Theirs has no such path. Ours that fails once is asked again, as its board would say less.
            if was_ours:
                raise
            return self._read_board(asked, now)
        self._is_ours = True
        return found

    def _check_health(self) -> None:
        _, answer = get_json(self._client, f"{self._url}/api/healthz")
        age = read_age(answer.get("lastPolled")) if isinstance(answer, dict) else None
        if age is not None and age > MAX_POLL_AGE_SECONDS:
            raise SourceError(f"{self._host}: the server last read its swarm {age:.0f} s ago")

    def _read_board(self, asked: Sequence[str], now: float) -> Sequence[Standing]:
        _, place = get_json(self._client, f"{self._url}/api/round_and_stage")
        at = read_place(place)
        if at is None:
            raise SourceError(f"{self._host}: the server has not read its swarm yet")
        _, board = get_json(self._client, f"{self._url}/api/leaderboard-cumulative")
        rows = parse_board(board)
        if rows is None:
            raise SourceError(f"{self._host}: its answer is not a leaderboard")
        if not rows:
            raise SourceError(f"{self._host}: the board is empty")
        self._check_length(len(rows))
        self._check_change(board, now)
        ranks: dict[object, int] = {}
        for number, row in enumerate(rows, 1):
            if isinstance(row.get("id"), str):
                ranks.setdefault(row["id"], number)
        return [_place_peer(peer_id, rows, ranks.get(peer_id), at, now) for peer_id in asked]

    def _check_length(self, length: int) -> None:
        if 2 * length < self._length and self._short_reads < SHORT_READS:
            self._short_reads += 1
            raise SourceError(f"{self._host}: the board has only {length} peers, {self._length} before")
        self._length, self._short_reads = length, 0

    def _check_change(self, board: object, now: float) -> None:
        content = hashlib.sha256(json.dumps(board).encode()).digest()
        if content != self._content:
            self._content, self._changed_at = content, now
        age = now - self._changed_at
        if age > self._stale_after_seconds:
            raise SourceError(f"{self._host}: the board has not changed for {age / 60:.0f} min")


def read_peer(client: HttpClient, url: str, peer_id: str, now: float) -> Standing:
    """One peer's answer of our own service at `url`, checked as anybody's. Raises SourceError."""
    status, answer = get_json(client, f"{url}/api/peers/{quote(peer_id, safe='')}", also=404)
    if status == 404:
        return Standing(peer_id, now, is_listed=False)
    standing = parse_peer(answer, peer_id, now)
    if standing is None:
        raise SourceError(f"{name_host(url)}: its answer is not a peer's rank")
    return standing


def read_age(value: object) -> float | None:
    """Seconds since the last poll, from a number or an ISO 8601 duration; None where it is neither."""
    if isinstance(value, str):
        found = _DURATION.fullmatch(value)
        if found is None:
            return None
        return sum(float(part or 0) * unit for part, unit in zip(found.groups(), (86400, 3600, 60, 1), strict=True))
    return read_number(value, limit=MAX_VALUE)


def parse_board(answer: object) -> list[dict[str, Any]] | None:
    """The rows, best first; None for what is no board."""
    rows = answer.get("leaders") if isinstance(answer, dict) else None
    return rows if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None


def parse_peer(answer: object, peer_id: str, now: float) -> Standing | None:
    """The answer of our service for one peer; None for anything else, another peer's among it."""
    if not isinstance(answer, dict) or answer.get("id") != peer_id:
        return None
    rank, total = read_whole(answer.get("rank")), read_whole(answer.get("total"))
    reward = read_number(answer.get("cumulative"), limit=MAX_VALUE)
    if not rank or total is None or rank > total or reward is None:
        return None
    established_rank = read_whole(answer.get("establishedRank"))
    if (established_rank or 0) > rank:
        return None
    at = read_place(answer)
    return Standing(
        peer_id,
        now,
        is_listed=True,
        name=read_name(answer.get("nickname")),
        rank=rank,
        ranked_peers=total,
        reward=reward,
        stage_reward=read_number(answer.get("stageReward"), limit=MAX_VALUE),
        round=at and at[0],
        stage=at and at[1],
        established_rank=established_rank or None,
        established_peers=read_whole(answer.get("establishedTotal")),
    )


def _place_peer(
    peer_id: str, rows: Sequence[Mapping[str, Any]], rank: int | None, at: tuple[int, int], now: float
) -> Standing:
    row = rows[rank - 1] if rank else {}
    return Standing(
        peer_id,
        now,
        is_listed=rank is not None,
        name=read_name(row.get("nickname")),
        rank=rank,
        ranked_peers=len(rows),
        stage_reward=read_number(row.get("lastScore"), limit=MAX_VALUE),
        round=at[0],
        stage=at[1],
    )
