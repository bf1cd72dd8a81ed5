"""An open swarm on a real DHT: a stranger leads no follower, and the leader says that it is overruled."""

from pathlib import Path

import pytest

from tests.fakes import wait_for
from tests.trainer.swarm.conftest import MakeSwarm, earn, plant
from tests.trainer.swarm.test_publisher import FakeTelemetry
from trainer.protocol import ROUND_AND_STAGE_KEY, RoundAndStage
from trainer.swarm.publisher import Publisher

pytestmark = pytest.mark.filterwarnings("ignore")

LEADER, FOLLOWER = "Qm" + "a" * 44, "Qm" + "b" * 44
HERE, FAR = RoundAndStage(3, 2), (1003, 0)


def test_a_strangers_announcement_takes_no_swarm_over(make_swarm: MakeSwarm, tmp_path: Path) -> None:
    first = make_swarm(leader=True)
    second = make_swarm(initial_peers=first.addresses)
    told = FakeTelemetry()
    for name in ("leader", "follower"):
        (tmp_path / name).mkdir()
    leader = Publisher(first, told, tmp_path / "leader", LEADER, 0.2)
    follower = Publisher(second, FakeTelemetry(), tmp_path / "follower", FOLLOWER, 0.2)

    def believed() -> RoundAndStage | None:
        return follower.ask_round_and_stage().result(30)

    leader.start()
    follower.start()
    try:
        leader.announce(HERE, is_new=True)
        earn(leader, HERE, 1.0)
        wait_for(lambda: believed() == HERE, 20, "the leader's round")
        wait_for(lambda: told.is_overruled is False, 20, "that the leader's word is taken")
        wait_for(lambda: first.find("rl_swarm_rewards_3_2"), 20, "the leader's reward")
        believed()

        for swarm in (first, second):
            plant(swarm, ROUND_AND_STAGE_KEY, {None: FAR}, lives=24 * 3600.0)
            plant(swarm, "rl_swarm_rewards_1003_0", {f"Qm{letter * 44}": 1e6 for letter in "cdefgh"})
        assert second.get(ROUND_AND_STAGE_KEY) == FAR
        leader.announce(HERE, is_new=True)
        wait_for(lambda: told.is_overruled, 20, "that the leader is overruled")
        assert [believed() for _ in range(3)] == [HERE] * 3

        following = RoundAndStage(4, 0)
        leader.announce(following, is_new=True)
        earn(leader, following, 1.0)
        wait_for(lambda: believed() == following, 20, "the follower goes with the leader's rewards")
    finally:
        leader.close(10)
        follower.close(10)
