"""Reads what other peers published, in the thread that owns the DHT: the training thread finds it ready."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from trainer.protocol import RoundAndStage, outputs_key
from trainer.stages.published import Published, read_published
from trainer.swarm.error import SwarmError
from trainer.swarm.records import Node
from trainer.swarm.stage_rewards import read_stage_rewards

# Peers read in one turn, and kept of one stage: a crowd of strangers costs no more.
PEERS_PER_TURN = 16
MAX_PEERS = 64
# A swarm that is slow to answer must not hold up what we publish.
TURN_SECONDS = 5.0
MAX_MALFORMED = 4096


class Counts(Protocol):
    """The part of the telemetry that is notified of what was read."""

    def outputs_rejected(self, count: int) -> None: ...


class OtherPeers:
    """`refresh` is called by the thread that owns the DHT, everything else by the training thread."""

    def __init__(self, peer_id: str, telemetry: Counts) -> None:
        self._peer_id, self._telemetry = peer_id, telemetry
        self._lock = threading.Lock()
        self._places: tuple[RoundAndStage, ...] = ()
        self._outputs: dict[RoundAndStage, dict[str, tuple[Published, ...]]] = {}
        self._earning: dict[RoundAndStage, frozenset[str]] = {}
        self._malformed: set[tuple[str, RoundAndStage, str]] = set()
        self._unreadable: set[RoundAndStage] = set()
        self._turn = 0
        self.announced: RoundAndStage | None = None
        # Grows with each change of what was read.
        self.version = 0

    def watch(self, *places: RoundAndStage) -> None:
        """From now on the outputs of these stages are read, and those of others forgotten."""
        with self._lock:
            self._places = places
            self._outputs = {place: found for place, found in self._outputs.items() if place in places}
            oldest = min(places, default=RoundAndStage(0, 0)).round - 1
            self._earning = {place: found for place, found in self._earning.items() if place.round >= oldest}
            self._malformed = {one for one in self._malformed if one[1] in places}

    def outputs(self, at: RoundAndStage) -> Mapping[str, tuple[Published, ...]]:
        """What was read of a stage, by peer id."""
        with self._lock:
            return dict(self._outputs.get(at, {}))

    def are_expected(self, at: RoundAndStage) -> bool:
        """Whether other peers earned something in this round or the one before, as far as was read."""
        with self._lock:
            return any(found for place, found in self._earning.items() if place.round >= at.round - 1)

    def refresh(self, swarm: Node, read_round: Callable[[], RoundAndStage | None]) -> None:
        """Reads the watched stages, and with `read_round` where the swarm is. Raises SwarmError."""
        with self._lock:
            places = self._places
        if not places:
            return
        self._unreadable &= set(places)
        deadline = time.monotonic() + TURN_SECONDS
        self.announced = read_round()
        for place in places:
            if place in self._unreadable:
                continue
            # Not read a second time if this one ends the connections: a flood of strangers outlasts the stage.
            self._unreadable.add(place)
            earning = set(read_stage_rewards(swarm, place)) - {self._peer_id}
            self._unreadable.discard(place)
            with self._lock:
                self._earning[place] = frozenset(earning)
            for peer_id in self._next_peers(earning):
                if time.monotonic() > deadline:
                    break
                self._read(swarm, peer_id, place)
        self._turn += 1

    def _next_peers(self, earning: set[str]) -> list[str]:
        """A few of the peers; others in the next turn."""
        peers = sorted(earning)
        if len(peers) <= PEERS_PER_TURN:
            return peers
        begin = self._turn * PEERS_PER_TURN % len(peers)
        return (peers + peers)[begin : begin + PEERS_PER_TURN]

    def _read(self, swarm: Node, peer_id: str, place: RoundAndStage) -> None:
        try:
            found = swarm.get(outputs_key(peer_id, *place))
        except SwarmError:
            # Such as a record that does not decode: it costs this peer alone.
            found = ()
        outputs, malformed = read_published(found, peer_id, place.stage)
        unseen = {(peer_id, place, subkey) for subkey in malformed} - self._malformed
        if unseen and len(self._malformed) < MAX_MALFORMED:
            self._malformed |= unseen
            self._telemetry.outputs_rejected(len(unseen))
        with self._lock:
            kept = self._outputs.setdefault(place, {}) if place in self._places else {}
            if outputs and kept.get(peer_id) != outputs and (peer_id in kept or len(kept) < MAX_PEERS):
                kept[peer_id] = outputs
                self.version += 1
