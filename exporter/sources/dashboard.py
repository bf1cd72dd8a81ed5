"""The peer API of the swarm's dashboard, as public monitors of rl-swarm use it; nobody promises that it stays.

`GET /api/v1/peer?id=…` tells reward and score of one peer, 404 where it has none of the id, and no rank. What the
score counts is not said. `/api/v1/round-stage` tells round and stage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from exporter.http_client import HttpClient, name_host
from exporter.sources import SourceError, Standing
from exporter.sources._answers import MAX_VALUE, get_json, read_name, read_place
from exporter.sources._options import SourceOptions
from trainer.protocol import is_peer_id, read_number

# That of 0.5 and later; 0.4 has dashboard-math.gensyn.ai and dashboard-math-hard.gensyn.ai.
URL = "https://dashboard.gensyn.ai"

TIMEOUT_SECONDS = 5.0
MAX_BYTES = 64 << 10
# After so many answers in a row that are none the other peers are not asked: nobody waits for each.
MAX_FAILURES = 2


class Source:
    """Asks for each peer alone; remembers which ones the dashboard has had."""

    OPTIONS: ClassVar[tuple[str, ...]] = ("url", "interval_seconds")

    def __init__(self, url: str = URL, *, interval_seconds: float = 300.0, client: HttpClient | None = None) -> None:
        self.interval_seconds = interval_seconds
        self._url, self._host = url, name_host(url)
        self._client = client or HttpClient(timeout_seconds=TIMEOUT_SECONDS, max_bytes=MAX_BYTES)
        self._listed: set[str] = set()

    @classmethod
    def configured(cls, options: Mapping[str, Any]) -> Self:
        given = SourceOptions(options, cls.OPTIONS)
        return cls(
            given.address("url", default=URL, example=URL),
            interval_seconds=given.seconds(
                "interval_seconds", default=300, least=60, why="it is a public service that is asked for each peer"
            ),
        )

    def read(self, peer_ids: Sequence[str], now: float) -> Sequence[Standing]:
        """The standings of those that are peer ids; of a read that failed for some, SourceError has the others."""
        asked = [peer_id for peer_id in dict.fromkeys(peer_ids) if is_peer_id(peer_id)]
        standings: list[Standing] = []
        problems: list[SourceError] = []
        failures = 0
        for peer_id in asked:
            try:
                status, answer = get_json(self._client, f"{self._url}/api/v1/peer?id={peer_id}", also=404)
            except SourceError as error:
                problems.append(error)
                failures += 1
                if error.is_limit or failures >= MAX_FAILURES:
                    break
                continue
            failures = 0
            try:
                standings.append(self._check(status, answer, peer_id, now))
            except ValueError as error:
                problems.append(SourceError(f"{self._host}: {error}"))
        if problems:
            text = f"{problems[0]} ({len(standings)} of {len(asked)} peers were read)"
            raise SourceError(text, standings, is_limit=problems[-1].is_limit)
        at = self._read_place() if standings else None
        return [replace(standing, round=at[0], stage=at[1]) if at else standing for standing in standings]

    def _check(self, status: int, answer: object, peer_id: str, now: float) -> Standing:
        if status == 404:
            if peer_id in self._listed:
                raise ValueError("answers 404 for a peer that it had before")
            return Standing(peer_id, now, is_listed=False)
        standing = parse(answer, peer_id, now)
        self._listed.add(peer_id)
        return standing

    def _read_place(self) -> tuple[int, int] | None:
        """Round and stage; None where the dashboard does not tell them, which is no failure."""
        try:
            return read_place(get_json(self._client, f"{self._url}/api/v1/round-stage")[1])
        except SourceError:
            return None


def parse(answer: object, peer_id: str, now: float) -> Standing:
    """The answer for one peer. Raises ValueError, one line, for anything else.

    One without a reward is a failed read: the dashboard knows it, and has left it out.
    """
    if not isinstance(answer, dict):
        raise ValueError("its answer is not a peer")
    # Also "wallet|Qm…".
    if str(answer.get("peerId", "")).rpartition("|")[2] != peer_id:
        raise ValueError("its answer is about another peer")
    reward = read_number(answer.get("reward"), limit=MAX_VALUE)
    if reward is None:
        raise ValueError("its answer has no reward")
    online = answer.get("online")
    return Standing(
        peer_id,
        now,
        is_listed=True,
        is_online=online if isinstance(online, bool) else None,
        name=read_name(answer.get("peerName")),
        reward=reward,
        score=read_number(answer.get("score"), limit=MAX_VALUE),
    )
