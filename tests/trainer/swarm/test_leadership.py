"""A signed swarm of three on a real DHT: the leader dies, the next named takes over, and steps back on its return."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fakes import wait_for
from tests.trainer.swarm.conftest import MakeSwarm
from tests.trainer.swarm.test_publisher import FakeTelemetry
from trainer.protocol import RoundAndStage
from trainer.rounds import Plan, RoundProgress, follow, lead
from trainer.swarm.identity import ensure_identity
from trainer.swarm.publisher import Publisher

pytestmark = pytest.mark.filterwarnings("ignore")

FLUSH_SECONDS = 0.5
PLAN = Plan(4, 3)
CLOCKS = ("dht.node", "dht.protocol", "utils.timed_storage")


class Peer(NamedTuple):
    """A node, and the thread that publishes by it."""

    swarm: Any
    publisher: Publisher

    def kill(self) -> None:
        """As SIGKILL ends a trainer: nothing is said or stored any more."""
        self.publisher._swarm = _Dead()  # type: ignore[assignment]
        self.publisher.join(30)
        self.swarm.close()


class _Dead:
    def is_alive(self) -> bool:
        return False


def test_the_next_takes_over_within_two_missed_beats_and_steps_back(make_swarm: MakeSwarm, tmp_path: Path) -> None:
    names = ("first", "second", "third")
    ids = {name: ensure_identity(tmp_path / name / "identity.pem") for name in names}
    addresses: dict[str, str] = {}

    def start(name: str) -> Peer:
        known = [address for other, address in addresses.items() if other != name]
        swarm = make_swarm(
            tmp_path / name,
            leader=name == "first",
            initial_peers=known,
            signed=True,
            leaders=list(ids.values()),
            members=list(ids.values()),
        )
        addresses[name] = swarm.addresses[0]
        publisher = Publisher(swarm, FakeTelemetry(), tmp_path / name, ids[name], FLUSH_SECONDS)
        publisher.start()
        return Peer(swarm, publisher)

    first, second, third = (start(name) for name in names)
    try:
        first.publisher.announce(RoundAndStage(4, 2), is_new=True)
        wait_for(lambda: second.publisher.ask_round_and_stage().result(30) == (4, 2), 20, "the announcement")
        wait_for(lambda: third.swarm.find("peerwatch_heartbeats"), 20, "heartbeats")
        time.sleep(4 * FLUSH_SECONDS)
        # A beat that is late on a busy machine makes another one lead meanwhile.
        leaders = lambda: [peer.publisher.leads for peer in (first, second, third)]  # noqa: E731
        wait_for(lambda: leaders() == [True, False, False], 20, "the first leads", every=0.05)

        first.kill()
        died = time.monotonic()
        wait_for(lambda: leaders()[1:] == [True, False], 20, "the second leads, and it alone", every=0.05)
        print(f"took over after {time.monotonic() - died:.1f} s; a beat takes {2 * FLUSH_SECONDS} s")
        progress = lead(RoundProgress(None, 4), second.publisher.ask_round_and_stage().result(30), PLAN)
        assert progress.position is not None
        second.publisher.announce(progress.position.round_and_stage, is_new=True)
        wait_for(lambda: third.publisher.ask_round_and_stage().result(30) == (5, 0), 20, "the next round")
        assert follow(RoundProgress(None, 4), RoundAndStage(5, 0), PLAN).position == progress.position

        first = start("first")
        wait_for(lambda: first.publisher.ask_round_and_stage().result(30) == (5, 0), 20, "the swarm's round")
        wait_for(lambda: not second.publisher.leads, 20, "the second steps back")
        first.publisher.announce(RoundAndStage(5, 1), is_new=True)
        wait_for(lambda: third.publisher.ask_round_and_stage().result(30) == (5, 1), 20, "the first leads again")
    finally:
        for peer in (first, second, third):
            peer.publisher.close(30)


def test_a_leader_whose_clock_is_behind_outlasts_one_whose_clock_was_ahead(
    make_swarm: MakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ahead() -> float:
        return time.time() + 300.0

    # The node's process is a fork of this one, with this clock.
    with monkeypatch.context() as patch:
        for module in (
            "trainer.swarm.node",
            "hivemind.dht.node",
            "hivemind.dht.protocol",
            "hivemind.utils.timed_storage",
        ):
            patch.setattr(f"{module}.get_dht_time", ahead)
        patch.setattr("trainer.swarm.dht.get_dht_time", ahead)
        fast = make_swarm(leader=True)
        assert fast.store("rl_swarm_rs", (4, 2))
    right = make_swarm(initial_peers=fast.addresses)
    found = right.find("rl_swarm_rs")
    assert found is not None
    assert found.value == (4, 2)

    assert not right.store("rl_swarm_rs", (5, 0))
    assert right.store("rl_swarm_rs", (5, 0), outlast=found.expires)
    assert right.get("rl_swarm_rs") == (5, 0)
