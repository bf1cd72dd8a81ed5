"""A swarm whose members, leader and daemons are killed at random goes on, and its board counts no reward twice."""

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.swarm_of_players import make_players
from tests.exporter.leaderboard.test_service import Leaderboard
from tests.fakes import wait_for

ROUNDS = 20
KILL_EVERY_SECONDS = 12.0


@pytest.mark.bench
@pytest.mark.timeout(1800)
def test_kills_of_members_leader_and_daemons_cost_no_reward(tmp_path: Path, record: Callable[..., None]) -> None:
    players = make_players(tmp_path, [("127.0.0.1", ())] * 3)
    ids = [one.peer_id for one in players]
    for one in players:
        one.start()
        wait_for(lambda one=one: "/p2p/" in (one.folder / "output.txt").read_text(), 60, "a node")  # type: ignore[misc]
    signed = {"signed": True, "leaders": ids, "members": ids, "names": {one: one[-6:] for one in ids}}
    board = Leaderboard(tmp_path, players[1].address, initial_peers=[one.address for one in players], **signed)
    dice, killed, began = random.Random(4), Counter[str](), time.monotonic()
    try:
        wait_for(lambda: all(one.round() >= 0 for one in players), 60, "all play")
        while max(one.round() for one in players) < ROUNDS:
            time.sleep(dice.uniform(0.5, 1.5) * KILL_EVERY_SECONDS)
            victim = dice.choice(players)
            daemon = victim.daemon()
            if dice.random() < 0.5 and daemon is not None:
                daemon.kill()
                killed["p2pd"] += 1
            else:
                victim.kill()
                killed["leader" if victim is players[0] else "follower"] += 1
                # A supervisor starts it again; two heartbeats are gone by then.
                time.sleep(dice.uniform(1.0, 6.0))
                victim.start()
            for one in players:
                if one.process and one.process.poll() is not None:
                    one.start()
            assert time.monotonic() - began < 1200
        time.sleep(10.0)
        for one in players:
            if one.process and one.process.poll() is not None:
                one.start()
        for one in players:
            wait_for(lambda one=one: one.round() >= ROUNDS - 1, 60, "everybody is there again")  # type: ignore[misc]
            one.kill()
        expected = {one.peer_id: sum(one.accepted().values()) for one in players}
        time.sleep(3.0)
        shown = {peer_id: board.peer(peer_id)["cumulative"] for peer_id in expected}
    finally:
        for one in players:
            if one.process and one.process.poll() is None:
                one.kill()
        board.stop()
    subject = "Kills in a swarm of three peers without models"
    record(subject, "rounds, and kills at random times", f"{ROUNDS}, {dict(killed)}")
    difference = sum(abs(shown[one] - expected[one]) for one in expected)
    record(subject, "difference of the board's sums from those that were accepted", f"{difference}", "0")
    # Nothing counts twice. A board whose reader is replaced while rounds of seconds go by misses stages, which the
    # figure above shows.
    assert all(shown[one] <= expected[one] for one in expected)
