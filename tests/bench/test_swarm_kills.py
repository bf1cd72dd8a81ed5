"""A swarm whose members, leader and daemons are killed at random goes on, and its board counts what the logs say."""

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.swarm_of_players import Player, TinyPlayer, make_players
from tests.exporter.leaderboard.service import Leaderboard, Seed
from tests.fakes import reserve_ports, wait_for

ROUNDS = 20
SEEDS = (4, 5, 6)
# Or half as long as a start takes, on a busy machine: nobody earns where all are starting.
KILL_EVERY_SECONDS = 12.0
# Of a busy machine.
LIMIT_SECONDS = 3000.0
# Logs write four decimals of each stage's sum.
ROUNDED = 0.01


@pytest.mark.bench
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("kind", "seed"),
    [*((Player, seed) for seed in SEEDS), *((TinyPlayer, seed) for seed in SEEDS[:1])],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_kills_of_members_leader_and_daemons_cost_no_reward(
    tmp_path: Path, record: Callable[..., None], kind: type[Player], seed: int
) -> None:
    # A node without a trainer, as initial peers are.
    node = Seed(tmp_path, reserve_ports(1)[0])
    players = make_players(tmp_path, [("127.0.0.1", ())] * 3, kind)
    ids = [one.peer_id for one in players]
    for one in players:
        one.config["initial_peers"].append(node.address)
    signed = {"signed": True, "leaders": ids, "members": ids, "names": {one: one[-6:] for one in ids}}
    addresses = [node.address, *(one.address for one in players)]
    board = Leaderboard(tmp_path, node.address, initial_peers=addresses, **signed)
    dice, killed, began = random.Random(seed), Counter[str](), time.monotonic()
    try:
        for one in players:
            one.start()
        wait_for(lambda: all(one.round() >= 0 for one in players), 180, "all play")
        pause = max(KILL_EVERY_SECONDS, (time.monotonic() - began) / 2)
        while max(one.round() for one in players) < ROUNDS:
            time.sleep(dice.uniform(0.5, 1.5) * pause)
            victim = dice.choice(players)
            daemon = victim.daemon() if victim.is_running else None
            if dice.random() < 0.5 and daemon is not None:
                daemon.kill()
                killed["p2pd"] += 1
            elif victim.is_running:
                victim.kill()
                killed["leader" if victim is players[0] else "follower"] += 1
                # A supervisor starts it again; two heartbeats are gone by then.
                time.sleep(dice.uniform(1.0, 6.0))
            for one in players:
                if not one.is_running:
                    one.start()
            assert time.monotonic() - began < LIMIT_SECONDS
        reached = max(one.round() for one in players)
        wait_for(lambda: all(one.round() >= reached for one in players), 180, "everybody is there again")
        for one in players:
            one.stop()
        # What each published at its end was held by the others, which ended too.
        for one in players:
            one.rest()

        def compare() -> dict[str, tuple[float, float]]:
            # Read again each time: a start says what of the end before was saved.
            return {
                one.peer_id: (board.peer(one.peer_id).get("cumulative", 0.0), sum(one.sums().values()))
                for one in players
            }

        wait_for(
            lambda: all(abs(shown - earned) < ROUNDED for shown, earned in compare().values()),
            60,
            "the sums of the logs",
        )
        compared = compare()
    finally:
        for one in players:
            if one.is_running:
                one.kill()
        board.stop()
        node.stop()
    models = "without models" if kind is Player else "of the tiny model"
    subject = f"Kills in a swarm of three peers {models}"
    record(subject, f"rounds, and kills at random times, seed {seed}", f"{reached}, {dict(killed)}")
    sums = ", ".join(f"{shown:.2f} of {earned:.2f}" for shown, earned in compared.values())
    record(subject, f"the board's sums of those in the peers' logs, seed {seed}", sums, "equal")
