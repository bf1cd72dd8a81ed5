"""Peers, leaders, nodes and boards are killed at any instant: the board's sums are those of the peers' logs."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from exporter.leaderboard.config import LeaderboardConfig
from exporter.leaderboard.measures import Measures
from exporter.leaderboard.poll import Poller
from exporter.leaderboard.reader import Answers, ReadFailed
from exporter.leaderboard.store import Store
from tests.trainer.recount import recount
from tests.trainer.swarm.test_publisher import FakeTelemetry
from trainer.protocol import EXPIRATION_SECONDS, LATE_ROUNDS, ROUND_AND_STAGE_KEY, RoundAndStage, rewards_key
from trainer.rounds import Plan, advance, follow, lead, list_sums
from trainer.run import read_progress
from trainer.swarm.error import SwarmError
from trainer.swarm.publisher import Publisher
from trainer.swarm.records import Found

PLAN = Plan(steps_per_stage=3, stages_per_round=3)
ROUNDS = 20
IDS = tuple("Qm" + letter * 44 for letter in "abc")


class Killed(BaseException):
    """The process ends here."""


class World:
    """What the living nodes hold: each record is on those that could be reached, and gone with the last of them."""

    def __init__(self, seed: int) -> None:
        self.dice, self.now, self.nodes = random.Random(seed), 1_700_000_000.0, {}  # type: ignore[var-annotated]
        self.announced: Found | None = None
        self.is_calm = False
        self.kills = 0

    def happens(self, chance: float) -> bool:
        return not self.is_calm and self.dice.random() < chance

    def find(self, key: str) -> Any:
        """What any node that can be reached holds; the swarm's round is held by initial peers, too."""
        if key == ROUND_AND_STAGE_KEY:
            return self.announced
        merged: dict[str | None, Found] = {}
        for node in self.nodes.values():
            for subkey, one in node.records.get(key, {}).items() if node.has_daemon else ():
                if subkey not in merged or one.expires > merged[subkey].expires:
                    merged[subkey] = one
        return merged or None


class Node:
    """A peer's node; its process may be killed before and after each store."""

    leaders: tuple[str, ...] = ()
    leads, is_signed, shards = False, True, 1

    def __init__(self, world: World) -> None:
        self._world, self.records, self.has_daemon = world, {}, True  # type: ignore[var-annotated]

    def store(self, key: str, value: Any, subkey: str | None = None, *, outlast: float = 0.0) -> bool:
        self._try_luck()
        self._world.now += 0.01
        record = Found(value, self._world.now + EXPIRATION_SECONDS)
        if key == ROUND_AND_STAGE_KEY:
            self._world.announced = record
        for node in self._world.nodes.values():
            # Now and then a node cannot be reached.
            if node is self or (node.has_daemon and not self._world.happens(0.2)):
                node.records.setdefault(key, {})[subkey] = record
        self._try_luck()
        return True

    def find(self, key: str) -> Any:
        if not self.has_daemon:
            raise SwarmError("reading: gone")
        return self._world.find(key)

    def restore_node(self) -> bool:
        was_gone, self.has_daemon = not self.has_daemon, True
        return was_gone

    def connected_peers(self) -> list[str]:
        return []

    def dial_initial_peers(self) -> int:
        return 0

    def is_alive(self) -> bool:
        return True

    def _try_luck(self) -> None:
        if not self.has_daemon:
            raise SwarmError("storing: gone")
        if self._world.happens(0.003):
            raise Killed


class Peer:
    """A trainer's rounds and publishing, as its driver has them, with a log; started again a while after each kill."""

    def __init__(self, world: World, peer_id: str, folder: Path) -> None:
        self.world, self.peer_id, self.folder, self.log = world, peer_id, folder, []  # type: ignore[var-annotated]
        self.away = 0
        self.start()

    def start(self) -> None:
        node = Node(self.world)
        # A node that joins is handed what is to be found in its place.
        for other in self.world.nodes.values() if self.world.dice.random() < 0.5 else ():
            node.records |= {key: {**node.records.get(key, {}), **found} for key, found in other.records.items()}
        self.world.nodes[self.peer_id] = node
        self.publisher = Publisher(node, FakeTelemetry(), self.folder, self.peer_id, interval_seconds=0.0)
        self.progress = read_progress(self.folder)
        self.log.append(f"event=progress_resumed sums={list_sums(self.progress)}")
        self.decide()

    def kill(self) -> None:
        del self.world.nodes[self.peer_id]
        self.away, self.world.kills = self.world.dice.randint(1, 12), self.world.kills + 1

    def decide(self) -> None:
        self.publisher._leadership.leads = next(iter(sorted(self.world.nodes))) == self.peer_id
        try:
            announced = self.publisher._read_round()
        except SwarmError:
            announced = None
        decide = lead if self.publisher.leads else follow
        self.progress = decide(self.progress, announced, PLAN)
        if self.publisher.leads or announced:
            self.publisher.put_sums(self.progress)

    def live(self) -> None:
        """One step, or a look for the round, or a while of being dead."""
        if self.away:
            self.away -= 1
            if not self.away:
                self.start()
            return
        try:
            self._live()
        except Killed:
            self.kill()

    def _live(self) -> None:
        if self.world.happens(0.01):
            raise Killed
        self.world.nodes[self.peer_id].has_daemon &= not self.world.happens(0.02)
        position = self.progress.position
        if position is None:
            self.decide()
        else:
            at, earned = position.round_and_stage, self.world.dice.randint(0, 16) / 4
            self.progress = advance(self.progress, earned, PLAN, leader=self.publisher.leads)
            self.publisher.put_sums(self.progress)
            self.log.append(f"round={at.round} stage={at.stage} stage_reward={position.reward + earned:.4f}")
            if self.publisher.leads and self.progress.position:
                self.publisher.announce(self.progress.position.round_and_stage, is_new=True)
        if self.world.dice.random() < 0.5:
            self.publisher._flush()


class Board:
    """The board's loop on a database, which is killed and started again too."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.outage = world, 0
        seed = f"/ip4/127.0.0.1/tcp/1/p2p/{IDS[0]}"
        self.config = LeaderboardConfig(
            database=folder / "board.sqlite", initial_peers=[seed], signed=True, names={one: one[-6:] for one in IDS}
        )
        self.start()

    def start(self) -> None:
        self.store = Store(self.config.database)
        self.poller = Poller(self.config, self, self.store, Measures())

    def live(self) -> None:
        if self.world.happens(0.02):
            self.store.close()
            self.start()
        # Its reader ends, and is joined again after a while.
        if self.outage or self.world.happens(0.03):
            self.outage = 0 if self.world.is_calm else (self.outage or self.world.dice.randint(1, 20)) - 1
            return
        try:
            self.poller.poll(self.world.now)
        except ReadFailed:
            return

    def ask(self, queries: Sequence[Sequence[Any]], now: float) -> Answers:
        if self.world.happens(0.05):
            raise ReadFailed("the reader exited; restarting soon")
        return Answers(1, [self._answer(*query) for query in queries])

    def _answer(self, kind: str, *arguments: Any) -> Any:
        if kind == "outputs":
            return []
        found = self.world.find(ROUND_AND_STAGE_KEY if kind == "position" else rewards_key(*arguments))
        if kind == "position":
            return found and found.value
        return found and [{peer_id: tuple(one) for peer_id, one in found.items()}, {}]


@pytest.mark.parametrize("seeds", [range(6), pytest.param(range(6, 200), marks=pytest.mark.bench)], ids=["few", "many"])
def test_a_board_counts_what_the_peers_logs_say(tmp_path: Path, seeds: Sequence[int]) -> None:
    kills = 0
    for seed in seeds:
        folder, world = tmp_path / str(seed), World(seed)
        peers = []
        for peer_id in IDS:
            (folder / peer_id).mkdir(parents=True)
            peers.append(Peer(world, peer_id, folder / peer_id))
        board = Board(world, folder)
        while max(at.round for peer in peers for at in [*recount(peer.log), RoundAndStage(0, 0)]) < ROUNDS:
            for peer in world.dice.sample(peers, len(peers)):
                peer.live()
            board.live()
        world.is_calm = True
        for _ in range(30):
            for peer in peers:
                peer.live()
        for peer in peers:
            peer.publisher._flush()
        for _ in range(LATE_ROUNDS + 1):
            board.live()
        shown = {peer.peer_id: board.poller.snapshot.peers[peer.peer_id].cumulative for peer in peers}
        board.store.close()

        assert shown == {peer.peer_id: sum(recount(peer.log).values()) for peer in peers}, seed
        kills += world.kills
    assert kills >= 5 * len(seeds)
