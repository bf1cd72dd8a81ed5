"""Two real peers that earn alike: one overtakes the other, and one that leaks is restarted."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.e2e.conftest import Fleet, Peer, count
from tests.fakes import get, still_alive

pytestmark = pytest.mark.e2e

HELD_SECONDS = 5


@pytest.fixture(scope="module")
def fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    alerts = {
        "rules": {
            "MemoryExceeded": {"for": "0s", "recover_after": "0s", "restart": True},
            "PeerDown": {"for": "0s", "recover_after": "0s"},
            "PeerStalled": {"recover_after": "0s"},
            "RankDrop": {"held_for": f"{HELD_SECONDS}s"},
        },
        "restarts": {"wait_at_most": "10s"},
    }
    fleet = make_fleet(["dolomite", "emery"], reward_spread=0.0, alerts=alerts)
    fleet.wait_until_all_train()
    return fleet


def test_an_emptied_board_raises_no_rank_drop(fleet: Fleet) -> None:
    # The other earns nothing meanwhile, so that no place is really lost.
    best = _kept_the_first_place(fleet, 12)
    (other,) = (peer for peer in fleet.peers if peer is not best)
    idle = other.reward_folder / "idle"
    idle.touch()
    fleet.wait(lambda: other.value("trainer_reward_mean") == 0.0, 60, "the other earns nothing")
    _wait_for_evaluations(fleet)
    assert best.value("swarm_rank") == 1
    trees = [process for peer in fleet.peers for process in _tree(peer.process())]
    with fleet.peers[0].stopped(), _suspended(trees):
        _wait_for_evaluations(fleet)
        before = [len(receiver.messages) for receiver in (fleet.mailbox, fleet.webhook)]
        board = fleet.folder / "state" / "leaderboard" / "board.sqlite"
        fleet.service("exporter.leaderboard").kill()
        for part in board.parent.glob("board.sqlite*"):
            part.unlink()
        fleet.wait(lambda: get(f"{fleet.leaderboard_url}/api/leaderboard").json()["total"] == 0, 60, "no board")
        fleet.wait(lambda: fleet.peers[0].value("swarm_source_up", source="leaderboard") == 0, 30, "the read failed")
        _wait_for_evaluations(fleet)
    fleet.wait_until_quiet()
    for receiver, count_before in zip((fleet.mailbox, fleet.webhook), before, strict=True):
        assert not count(receiver.messages[count_before:], "RankDrop")
    idle.unlink()


def test_a_peer_that_stops_earning_is_overtaken(fleet: Fleet) -> None:
    best = _kept_the_first_place(fleet, 12)
    before = [len(receiver.messages) for receiver in (fleet.mailbox, fleet.webhook)]
    idle = best.reward_folder / "idle"
    idle.touch()

    def has_arrived() -> bool:
        receivers = zip((fleet.mailbox, fleet.webhook), before, strict=True)
        return all(count(receiver.messages[earlier:], "RankDrop", best.name) for receiver, earlier in receivers)

    fleet.wait(has_arrived, 120, "RankDrop by mail and webhook")
    assert best.value("trainer_state", trainer_state="stopped") == 0
    assert best.value("swarm_rank") == 2
    idle.unlink()


def test_a_leaking_peer_is_restarted_once_and_its_sibling_never(fleet: Fleet) -> None:
    leaking, sibling = fleet.peers
    first, other = leaking.process(), sibling.process()
    tree = [first, *first.children(recursive=True)]
    (leaking.reward_folder / "hoard").write_text("2100")
    kept = leaking.run_folder / "restart.log"
    fleet.wait(kept.exists, 60, "restart.log is written")
    (leaking.reward_folder / "hoard").unlink()
    fleet.wait(lambda: count(fleet.webhook.messages, "PeerRestarted", leaking.name), 60, "the restart is notified")

    message = next(message for message in fleet.webhook.messages if message.says("PeerRestarted", leaking.name))
    assert message.says("Restarted because of MemoryExceeded: Memory ", "of the limit of 2.00 GiB"), message
    # On a busy machine the message goes without what is not found in a second.
    assert "trainer.log ends:" in kept.read_text()
    fleet.wait(
        lambda: fleet.arrived("Resolved: PeerRestarted", leaking.name, "Training again", "memory from "),
        60,
        "the effect is notified by mail and webhook",
    )
    second = leaking.process()
    assert second.pid != first.pid
    assert not still_alive(tree)
    assert kept.stat().st_mode & 0o777 == 0o600

    (leaking.reward_folder / "hoard").write_text("2100")
    fleet.wait(lambda: fleet.arrived("RestartUseless", leaking.name), 60, "RestartUseless by mail and webhook")
    assert any(
        message.says("Not restarted for MemoryExceeded", "Restarted for the same reason")
        for message in fleet.webhook.messages
    )
    assert leaking.process() == second
    assert sibling.process() == other
    assert count(fleet.webhook.messages, "Restarted because of") == 1
    assert not count(fleet.webhook.messages, "PeerDown")


def _wait_for_evaluations(fleet: Fleet) -> None:
    """Until the loop has told of whatever became of the ranks."""
    seen_at = fleet.status()["now"]
    fleet.wait(lambda: fleet.status()["now"] > seen_at + HELD_SECONDS + 3, 60, "evaluations")


@contextmanager
def _suspended(processes: list[psutil.Process]) -> Iterator[None]:
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def _tree(process: psutil.Process) -> list[psutil.Process]:
    return [*process.children(recursive=True), process]


def _kept_the_first_place(fleet: Fleet, seconds: float) -> Peer:
    """The peer that has been first for so long: a rank that was not kept is not lost."""
    since: dict[str, float] = {}

    def find() -> Peer | None:
        for peer in fleet.peers:
            if peer.value("swarm_rank") != 1:
                since.pop(peer.name, None)
            elif time.monotonic() - since.setdefault(peer.name, time.monotonic()) >= seconds:
                return peer
        return None

    found = fleet.wait(find, 60, f"a peer keeps the first place for {seconds:g} s")
    assert isinstance(found, Peer)
    return found
