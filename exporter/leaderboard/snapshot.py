"""The served board: everything a request may ask for, rendered once for each poll and never changed."""

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from exporter.leaderboard.board import Board, BoardEntry
from exporter.leaderboard.names import Names
from exporter.leaderboard.records import Message
from trainer.protocol import RoundAndStage

# Points over time are kept and sent for the head of the board and for our own peers only: they are what makes a
# page grow, and nobody reads the curve of peer 4000.
PEERS_WITH_HISTORY = 100
CUMULATIVE_POINTS = 30
REWARD_POINTS = 100


class PeerPage(NamedTuple):
    """What `/api/peers/{id}` returns for one peer; `established_rank` is that among the established and itself."""

    peer_id: str
    nickname: str
    rank: int
    established_rank: int
    is_verified: bool
    cumulative: float
    stage_reward: float
    last_seen: float


class Gossip(NamedTuple):
    """One message and who wrote it where."""

    peer_id: str
    place: RoundAndStage
    message: Message


@dataclass(frozen=True)
class Snapshot:
    """Ready bytes of each page; `polled_at` is None until this process has read the DHT once (unix seconds).

    `problem` is why the swarm cannot be read now; empty if it can.
    """

    polled_at: float | None = None
    place: RoundAndStage | None = None
    leaderboard: bytes = b'{"leaders": [], "total": 0}'
    cumulative: bytes = b'{"leaders": [], "total": 0}'
    history: bytes = b'{"leaders": []}'
    gossip: bytes = b'{"messages": []}'
    peers: Mapping[str, PeerPage] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    established: int = 0
    problem: str = ""

    def peer_page(self, peer_id: str) -> dict[str, Any] | None:
        page = self.peers.get(peer_id)
        place = self.place
        return page and {
            "id": page.peer_id,
            "nickname": page.nickname,
            "rank": page.rank,
            "total": len(self.peers),
            "establishedRank": page.established_rank,
            "establishedTotal": max(self.established, page.established_rank),
            "verified": page.is_verified,
            "cumulative": page.cumulative,
            "stageReward": page.stage_reward,
            "round": place.round if place else -1,
            "stage": place.stage if place else -1,
            "lastSeen": page.last_seen,
        }


class History:
    """The points of the peers that have any; a point is added when the value changes."""

    def __init__(self) -> None:
        self._points: dict[str, tuple[deque[tuple[float, float]], deque[tuple[float, float]]]] = {}

    def add(self, ranking: Iterable[BoardEntry], now: float) -> None:
        """Adds what changed, and forgets the peers that are not in `ranking`."""
        kept = {}
        for entry in ranking:
            cumulative, rewards = self._points.get(entry.peer_id) or (
                deque(maxlen=CUMULATIVE_POINTS),
                deque(maxlen=REWARD_POINTS),
            )
            _append(cumulative, now, entry.peer.cumulative)
            _append(rewards, now, entry.peer.stage_reward)
            kept[entry.peer_id] = cumulative, rewards
        self._points = kept

    def cumulative(self, peer_id: str) -> list[dict[str, float]]:
        return [{"x": x, "y": y} for x, y in self._points[peer_id][0]] if peer_id in self._points else []

    def rewards(self, peer_id: str) -> list[dict[str, float]]:
        return [{"x": x, "y": y} for x, y in self._points[peer_id][1]] if peer_id in self._points else []


def render(
    board: Board,
    names: Names,
    history: History,
    *,
    place: RoundAndStage | None,
    gossip: Iterable[Gossip],
    polled_at: float | None,
    now: float,
    is_signed: bool = False,
) -> Snapshot:
    """The pages of the board as it is. Of a swarm that is not signed, only our own peers, in `names`, are verified."""
    ranking = board.ranking()
    shown = [one for one in ranking if one.rank <= PEERS_WITH_HISTORY or one.peer_id in names.ours]
    history.add(shown, now)
    verified = frozenset(board.peers) if is_signed else names.ours.keys()
    scores = [
        {**_who(peer_id, names), "score": reward, "values": [], "verified": peer_id in verified}
        for reward, peer_id in board.stage_scores(place)
    ]
    leaders = [{**_cumulative_entry(entry, names, history), "verified": entry.peer_id in verified} for entry in ranking]
    pages, established = {}, 0
    for entry in ranking:
        is_verified = entry.peer_id in verified
        pages[entry.peer_id] = _page(entry, names, established + 1, is_verified=is_verified)
        established += is_verified or entry.peer.is_established(now)
    return Snapshot(
        polled_at=polled_at,
        place=place,
        leaderboard=_encode({"leaders": scores, "total": len(scores)}),
        cumulative=_encode({"leaders": leaders, "total": len(leaders)}),
        history=_encode({"leaders": [{**_who(s.peer_id, names), "values": history.rewards(s.peer_id)} for s in shown]}),
        gossip=_encode({"messages": _messages(gossip, names)}),
        peers=pages,
        names=names,
        established=established,
    )


def find_id(snapshot: Snapshot, name: str) -> str | None:
    """The peer of that name: one of ours before a stranger, the better ranked before the worse."""
    ours = next((peer_id for peer_id, own in snapshot.names.ours.items() if own == name), None)
    if ours is not None or name in snapshot.peers:
        return ours or name
    return next((peer_id for peer_id, page in snapshot.peers.items() if page.nickname == name), None)


def _who(peer_id: str, names: Names) -> dict[str, Any]:
    return {"id": peer_id, "nickname": names.of(peer_id)}


def _cumulative_entry(entry: BoardEntry, names: Names, history: History) -> dict[str, Any]:
    peer = entry.peer
    return {
        **_who(entry.peer_id, names),
        "recordedRound": peer.stage.round,
        "recordedStage": peer.stage.stage,
        "cumulativeScore": peer.cumulative,
        "lastScore": peer.stage_reward,
        "scoreHistory": history.cumulative(entry.peer_id),
    }


def _page(entry: BoardEntry, names: Names, established_rank: int, *, is_verified: bool) -> PeerPage:
    peer, peer_id = entry.peer, entry.peer_id
    return PeerPage(
        peer_id,
        names.of(peer_id),
        entry.rank,
        established_rank,
        is_verified,
        peer.cumulative,
        peer.stage_reward,
        peer.last_seen,
    )


def _messages(gossip: Iterable[Gossip], names: Names) -> list[dict[str, str]]:
    newest_first = sorted(gossip, key=lambda one: (one.message.at, one.peer_id), reverse=True)
    return [
        {
            "id": _message_id(one),
            "message": f"{names.of(one.peer_id)}: {one.message.question} → {one.message.answer}",
            "node": names.of(one.peer_id),
            "nodeId": one.peer_id,
        }
        for one in newest_first
    ]


def _message_id(one: Gossip) -> str:
    text = f"{one.peer_id}_{one.place.round}_{one.place.stage}_{one.message.subkey}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _append(points: deque[tuple[float, float]], now: float, value: float) -> None:
    if not points or points[-1][1] != value:
        points.append((now, value))


def _encode(content: dict[str, Any]) -> bytes:
    return json.dumps(content, allow_nan=False).encode()
