"""RankDrop on a real swarm: raised when others overtake a peer, and not when the board is gone."""

import signal
import time
from collections.abc import Callable

import httpx
import psutil
import pytest

from tests.e2e.conftest import Fleet, Peer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    fleet = make_fleet(["dolomite", "emery"], reward_spread=0.0, rank_held_for="5s")
    fleet.wait_until_all_train()
    return fleet


def test_an_emptied_board_raises_no_rank_drop(fleet: Fleet) -> None:
    trees = [process for peer in fleet.peers for process in _tree(peer.process())]
    for process in trees:
        process.suspend()
    try:
        board = fleet.folder / "state" / "leaderboard" / "board.sqlite"
        fleet.service("exporter.leaderboard").kill()
        for part in board.parent.glob("board.sqlite*"):
            part.unlink()
        fleet.wait(lambda: httpx.get(f"{fleet.leaderboard_url}/api/leaderboard").json()["total"] == 0, 60, "no board")
        fleet.wait(lambda: fleet.peers[0].value("swarm_source_up", source="leaderboard") == 0, 30, "the read failed")
        # PeerStalled proves that the loop went on judging while the board was empty.
        fleet.wait(lambda: fleet.arrived("PeerStalled"), 60, "PeerStalled")
        assert not fleet.arrived("RankDrop")
    finally:
        for process in trees:
            process.send_signal(signal.SIGCONT)
    fleet.wait(lambda: not fleet.firing(), 120, "all is well again")
    assert not any(message.says("RankDrop") for message in fleet.webhook.messages)


def test_a_peer_that_stops_earning_is_overtaken(fleet: Fleet) -> None:
    best = _kept_the_first_place(fleet, 12)
    (best.reward_folder / "idle").touch()
    fleet.wait(lambda: fleet.arrived("RankDrop", best.name), 240, "RankDrop by mail and webhook")
    assert best.value("trainer_state", trainer_state="stopped") == 0
    assert best.value("swarm_rank") == 2


def _tree(process: psutil.Process) -> list[psutil.Process]:
    return [*process.children(recursive=True), process]


def _kept_the_first_place(fleet: Fleet, seconds: float) -> Peer:
    """The peer that has been first for so long: a rank that was not kept is not lost."""
    since: dict[str, float] = {}

    def look() -> Peer | None:
        for peer in fleet.peers:
            if peer.value("swarm_rank") != 1:
                since.pop(peer.name, None)
            elif time.monotonic() - since.setdefault(peer.name, time.monotonic()) >= seconds:
                return peer
        return None

    found = fleet.wait(look, 180, f"a peer keeps the first place for {seconds:g} s")
    assert isinstance(found, Peer)
    return found
