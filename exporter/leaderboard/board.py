"""The cumulative board; pure: records, places and times come in, the ranking goes out.

The credit of a peer in a stage is the highest sum seen there, at least 0; its cumulative reward is the sum over all
stages. It never falls: a read that lacks a peer, or a stage, or everything, changes nothing. A peer's credit is kept
as one settled total and the values of the stages that are still open, so that its size does not grow with rounds.
In a new epoch (see `position`) only records written since then count, as the old ones have been counted already.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.leaderboard.records import Entry
from trainer.protocol import EXPIRATION_SECONDS, RoundAndStage

START = RoundAndStage(0, 0)

# Anybody can bring a crowd of peers to an open swarm at once: a peer counts as established after this time, and so do
# those that a new board finds at its beginning.
ESTABLISHED_SECONDS = 3600.0
BEGINNING_SECONDS = 600.0


@dataclass(slots=True)
class Peer:
    """What is kept of one peer. `stamp` is the newest record's, `not_before` that of the last epoch's newest.

    `first_seen` is endlessly long ago for one that was there before this process, and is not stored.
    """

    settled: float = 0.0
    open: dict[RoundAndStage, float] = field(default_factory=dict)
    stage: RoundAndStage = START
    stage_reward: float = 0.0
    stamp: float = 0.0
    not_before: float = 0.0
    last_seen: float = 0.0
    first_seen: float = float("-inf")

    def is_established(self, now: float) -> bool:
        """Whether it has been there for long."""
        return self.first_seen <= now - ESTABLISHED_SECONDS

    @property
    def cumulative(self) -> float:
        return self.settled + sum(self.open.values())


class BoardEntry(NamedTuple):
    """One peer's place on the board; `rank` counts from 1."""

    peer_id: str
    rank: int
    peer: Peer


class Board:
    """All peers of the swarm. `dirty` and `gone` say what differs from the stored board; `saved` clears them."""

    def __init__(self, peers: Mapping[str, Peer] | None = None, open_from: RoundAndStage = START) -> None:
        self.peers = dict(peers or {})
        self.open_from = open_from
        self.dirty: set[str] = set()
        self.gone: set[str] = set()
        self._stored = set(self.peers)
        self._began = float("-inf") if self.peers else None

    def saved(self) -> None:
        self._stored.update(self.dirty)
        self._stored.difference_update(self.gone)
        self.dirty.clear()
        self.gone.clear()

    def count_fresh(self, entries: Mapping[str, Entry], among: Collection[str]) -> int:
        """How many peers wrote these records after all that is known of them; of `among`, unless that is empty."""
        candidates = among if among else entries
        return sum(
            peer_id in entries and entries[peer_id].stamp > self._newest_stamp(peer_id) for peer_id in candidates
        )

    def credit(self, place: RoundAndStage, entries: Mapping[str, Entry], now: float) -> None:
        """Takes in the rewards read of one stage; those of a closed stage only update when the peer was last seen."""
        if self._began is None:
            self._began = now
        for peer_id, entry in entries.items():
            peer = self.peers.get(peer_id)
            if peer is None:
                peer = self.peers[peer_id] = Peer() if now - self._began < BEGINNING_SECONDS else Peer(first_seen=now)
            elif entry.stamp <= peer.not_before:
                continue
            if self._update(peer, place, entry, now):
                self.dirty.add(peer_id)

    def close_before(self, place: RoundAndStage) -> None:
        """Settles the stages before `place`: late values for them no longer count."""
        if place <= self.open_from:
            return
        self.open_from = place
        self._settle(lambda stage: stage < place)

    def begin_epoch(self, open_from: RoundAndStage) -> None:
        """The swarm was restarted: settles everything; only records newer than all known ones count from now on."""
        self.open_from = open_from
        self._settle(lambda _stage: True)
        for peer in self.peers.values():
            peer.not_before, peer.stage = peer.stamp, START
        self.dirty.update(self.peers)

    def evict(self, most: int, protected: Collection[str]) -> None:
        """Keeps at most `most` peers: the lowest go, among equals the longest unseen; never those in `protected`."""
        excess = len(self.peers) - most
        if excess <= 0:
            return
        others = (peer_id for peer_id in self.peers if peer_id not in protected)
        order = sorted(
            others, key=lambda peer_id: (self.peers[peer_id].cumulative, self.peers[peer_id].last_seen, peer_id)
        )
        for peer_id in order[:excess]:
            del self.peers[peer_id]
            self.dirty.discard(peer_id)
            if peer_id in self._stored:
                self.gone.add(peer_id)

    def ranking(self) -> list[BoardEntry]:
        """Descending by (cumulative reward, id), the swarm's own tie-break."""
        order = sorted(((peer.cumulative, peer_id) for peer_id, peer in self.peers.items()), reverse=True)
        return [BoardEntry(peer_id, rank, self.peers[peer_id]) for rank, (_, peer_id) in enumerate(order, start=1)]

    def stage_scores(self) -> list[tuple[float, str]]:
        """(reward, id) of the newest stage that anybody earned in, descending."""
        newest = max((peer.stage for peer in self.peers.values() if peer.stamp > peer.not_before), default=None)
        scores = (
            (peer.stage_reward, peer_id)
            for peer_id, peer in self.peers.items()
            if peer.stage == newest and peer.stamp > peer.not_before
        )
        return sorted(scores, reverse=True)

    def _newest_stamp(self, peer_id: str) -> float:
        peer = self.peers.get(peer_id)
        return peer.stamp if peer else 0.0

    def _update(self, peer: Peer, place: RoundAndStage, entry: Entry, now: float) -> bool:
        changed = False
        credit = max(0.0, entry.value)
        if place >= self.open_from and credit > peer.open.get(place, 0.0):
            peer.open[place] = credit
            changed = True
        if place > peer.stage or (place == peer.stage and entry.stamp >= peer.stamp):
            changed = changed or (place, entry.value) != (peer.stage, peer.stage_reward)
            peer.stage, peer.stage_reward = place, entry.value
        if entry.stamp > peer.stamp:
            peer.stamp, peer.last_seen = entry.stamp, max(peer.last_seen, _written_at(entry.stamp, now))
            changed = True
        return changed

    def _settle(self, is_closed: Callable[[RoundAndStage], bool]) -> None:
        for peer_id, peer in self.peers.items():
            closed = [stage for stage in peer.open if is_closed(stage)]
            for stage in closed:
                peer.settled += peer.open.pop(stage)
            if closed:
                self.dirty.add(peer_id)


def _written_at(stamp: float, now: float) -> float:
    """A record's time: it expires 4 hours after it was written. `now` where that cannot be."""
    written = stamp - EXPIRATION_SECONDS
    return written if now - EXPIRATION_SECONDS <= written <= now else now
