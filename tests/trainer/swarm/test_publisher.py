"""Publishing takes the latest values, retries failures, and never blocks the training thread."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import wait_for
from tests.trainer.swarm.conftest import earn
from trainer.protocol import EXPIRATION_SECONDS, RoundAndStage
from trainer.rounds import Position, RoundProgress, StageSum, from_record
from trainer.swarm import publisher as publishing
from trainer.swarm.backlog import MAX_RECORDS
from trainer.swarm.error import SwarmError
from trainer.swarm.publisher import MAX_BOARD_PEERS, MAX_OUTPUTS_PER_STAGE, Publisher
from trainer.swarm.records import Found

PEER = "QmcWq6BpmqBwrui8BcNGm36ks4XCKQkH8rENKnfhkAgthf"
OTHER = "QmRu2j7TxZvUt4cGgtvNFbv8LrMbM5nwCwwTgvhQJNTVoi"
AT = RoundAndStage(3, 1)


class FakeSwarm:
    """Keeps stored values; fails or hangs on request."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] = {}
        self.calls: list[tuple[str, str | None]] = []
        self.refused = 0
        self.refused_keys: set[str] = set()
        self.slow_keys: set[str] = set()
        self.is_daemon_gone = False
        self.leaders: list[str] = []
        self.leads, self.is_signed, self.shards = False, False, 1
        self.rebuilt = self.dialled = 0
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.alive = True

    def store(self, key: str, value: Any, subkey: str | None = None, *, outlast: float = 0.0) -> bool:
        self.entered.set()
        self.open.wait(120)
        self.calls.append((key, subkey))
        if key in self.slow_keys:
            raise SwarmError(f"storing {key}: TimeoutError")
        if key in self.refused_keys:
            return False
        if self.refused:
            self.refused -= 1
            return False
        # At once, for who looks meanwhile.
        self.stored[key] = value if subkey is None else {**self.stored.get(key, {}), subkey: value}
        return True

    def find(self, key: str) -> Any:
        self.open.wait(120)
        if not self.alive or key in self.slow_keys:
            raise SwarmError("gone")
        value, expires = self.stored.get(key), time.time() + EXPIRATION_SECONDS
        if isinstance(value, dict):
            return {subkey: Found(one, expires) for subkey, one in value.items()}
        return None if value is None else Found(value, expires)

    def rebuild_node(self) -> None:
        self.rebuilt += 1
        self.slow_keys.clear()

    def dial_initial_peers(self) -> int:
        self.dialled += 1
        return 0

    def connected_peers(self) -> list[str]:
        return [OTHER, PEER]

    def restore_node(self) -> bool:
        was_gone, self.is_daemon_gone = self.is_daemon_gone, False
        return was_gone

    def is_alive(self) -> bool:
        return self.alive


class FakeTelemetry:
    """Records what the publisher notifies the telemetry of."""

    def __init__(self) -> None:
        self.published_at: list[float] = []
        self.failures = 0
        self.peers: int | None = None
        self.is_reward_refused: bool | None = None
        self.is_overruled: bool | None = None

    def set_leader_overruled(self, is_overruled: bool) -> None:
        self.is_overruled = is_overruled

    def set_reward_refused(self, is_refused: bool) -> None:
        self.is_reward_refused = is_refused

    def published(self, at: float) -> None:
        self.published_at.append(at)

    def publish_failed(self) -> None:
        self.failures += 1

    def set_connected_peers(self, count: int) -> None:
        self.peers = count


@pytest.fixture
def swarm() -> FakeSwarm:
    return FakeSwarm()


@pytest.fixture
def telemetry() -> FakeTelemetry:
    return FakeTelemetry()


@pytest.fixture
def publisher(swarm: FakeSwarm, telemetry: FakeTelemetry, tmp_path: Path) -> Iterator[Publisher]:
    publisher = Publisher(swarm, telemetry, tmp_path, PEER, interval_seconds=0.05)
    yield publisher
    swarm.open.set()
    if publisher.is_alive():
        publisher.close(60)


def test_each_stages_latest_sum_is_published(publisher: Publisher, swarm: FakeSwarm, telemetry: FakeTelemetry) -> None:
    for reward in (1.0, 2.0, 3.0):
        earn(publisher, AT, reward)
    earn(publisher, RoundAndStage(3, 2), 0.5)
    publisher.start()
    publisher.close(60)

    assert swarm.stored == {"rl_swarm_rewards_3_1": {PEER: 3.0}, "rl_swarm_rewards_3_2": {PEER: 0.5}}
    assert len(swarm.calls) == 2
    assert (len(telemetry.published_at), telemetry.failures, telemetry.peers) == (2, 0, 2)


def test_a_leader_publishes_round_and_stage_and_the_stages_board(publisher: Publisher, swarm: FakeSwarm) -> None:
    swarm.stored["rl_swarm_rewards_3_1"] = {OTHER: 9.0, "not a peer": 1.0}
    earn(publisher, AT, 4.0)
    publisher.announce(AT, is_new=True)
    publisher.start()
    publisher.close(60)

    assert swarm.stored["rl_swarm_rs"] == (3, 1)
    assert swarm.stored["rl_swarm_leaderboard_3_1"] == [(OTHER, 9.0), (PEER, 4.0)]


def test_rewards_spread_over_keys_make_one_board(swarm: FakeSwarm, tmp_path: Path) -> None:
    swarm.shards = 7
    for number, peer_id in enumerate((PEER, OTHER, *(f"Qm{letter * 44}" for letter in "abcdefg"))):
        publisher = Publisher(swarm, FakeTelemetry(), tmp_path, peer_id, interval_seconds=0.05)
        earn(publisher, AT, float(number))
        publisher.announce(AT, is_new=True)
        publisher.start()
        publisher.close(60)

    assert "rl_swarm_rewards_3_1" not in swarm.stored
    assert 1 < len([key for key in swarm.stored if key.startswith("rl_swarm_rewards_3_1_")]) <= 7
    assert [reward for _, reward in swarm.stored["rl_swarm_leaderboard_3_1"]] == [float(n) for n in range(8, -1, -1)]


def test_a_hanging_swarm_does_not_block_the_training_thread(publisher: Publisher, swarm: FakeSwarm) -> None:
    swarm.open.clear()
    earn(publisher, AT, 0.0)
    publisher.start()
    assert swarm.entered.wait(60)

    began = time.perf_counter()
    for step in range(1000):
        earn(publisher, AT, float(step))
        publisher.put_output(AT, f"question {step}", (0.0, {}))
        publisher.announce(AT, is_new=False)
        publisher.save_progress(RoundProgress(finished_round=step))

    assert time.perf_counter() - began < 10


def test_a_failed_store_is_retried(publisher: Publisher, swarm: FakeSwarm, telemetry: FakeTelemetry) -> None:
    swarm.refused = 2
    earn(publisher, AT, 5.0)
    publisher.start()

    wait_for(lambda: swarm.stored, 5, "a store that succeeds", every=0.01)

    assert swarm.stored == {"rl_swarm_rewards_3_1": {PEER: 5.0}}
    assert telemetry.failures == 2


def test_a_refused_reward_holds_up_nothing_and_is_told(
    publisher: Publisher, swarm: FakeSwarm, telemetry: FakeTelemetry
) -> None:
    swarm.refused_keys = {"rl_swarm_rewards_3_1"}
    earn(publisher, AT, 5.0)
    publisher.announce(AT, is_new=True)
    publisher.put_output(AT, "question", (0.0, {}))
    publisher.start()

    wait_for(lambda: len(swarm.stored) == 2, 5, "the records that come later", every=0.01)

    assert swarm.stored["rl_swarm_rs"] == (3, 1)
    wait_for(lambda: telemetry.is_reward_refused is True, 5, "that it is refused", every=0.01)
    swarm.refused_keys.clear()
    earn(publisher, AT, 6.0)
    wait_for(lambda: "rl_swarm_rewards_3_1" in swarm.stored, 5, "the reward", every=0.01)
    wait_for(lambda: telemetry.is_reward_refused is False, 5, "that it is accepted again", every=0.01)


def test_a_key_that_does_not_answer_holds_up_no_other(publisher: Publisher, swarm: FakeSwarm) -> None:
    swarm.slow_keys = {"rl_swarm_rewards_3_1"}
    earn(publisher, AT, 5.0)
    publisher.announce(AT, is_new=True)
    publisher.start()

    wait_for(lambda: "rl_swarm_rs" in swarm.stored, 5, "the announcement", every=0.01)


def test_what_a_lost_node_held_is_published_again(publisher: Publisher, swarm: FakeSwarm) -> None:
    held = {"rl_swarm_rewards_3_1", "rl_swarm_rs"}
    earn(publisher, AT, 5.0)
    publisher._leadership.leads = True
    publisher.announce(AT, is_new=True)
    publisher.start()
    wait_for(lambda: held <= swarm.stored.keys(), 5, "both records", every=0.01)
    swarm.stored.clear()
    swarm.is_daemon_gone = True

    wait_for(lambda: held <= swarm.stored.keys(), 5, "both records again", every=0.01)

    assert swarm.stored["rl_swarm_rewards_3_1"] == {PEER: 5.0}
    assert swarm.stored["rl_swarm_rs"] == (3, 1)


def test_the_sums_of_earlier_stages_outlive_whoever_held_them(
    publisher: Publisher, swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = {RoundAndStage(2, 2): StageSum(4, 9.0), AT: StageSum(1, 5.0)}
    wanted = {"rl_swarm_rewards_2_2": {PEER: 9.0}, "rl_swarm_rewards_3_1": {PEER: 5.0}}
    publisher.put_sums(RoundProgress(Position(*AT, 1, 5.0), sums=sums))
    publisher.start()
    wait_for(lambda: swarm.stored == wanted, 5, "both sums", every=0.01)
    swarm.stored.clear()
    swarm.is_daemon_gone = True
    wait_for(lambda: swarm.stored == wanted, 5, "both, as the node was lost", every=0.01)
    swarm.stored.clear()
    monkeypatch.setattr(publishing, "REPEAT_ALL_SECONDS", 0.0)
    wait_for(lambda: swarm.stored == wanted, 5, "both, as time passed", every=0.01)
    monkeypatch.undo()
    swarm.stored.clear()
    publisher._failed_flushes = 1
    wait_for(lambda: swarm.stored == wanted, 5, "both, as the swarm responds again", every=0.01)


def test_nothing_is_published_that_a_restart_would_not_know(
    publisher: Publisher, swarm: FakeSwarm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = []
    store = swarm.store

    def compare(key: str, value: Any, subkey: str | None = None, **options: Any) -> bool:
        if key == "rl_swarm_rewards_3_1":
            saved = from_record(json.loads((tmp_path / "position.json").read_text()))
            ahead.append(value - saved.sums[AT].reward)
        return store(key, value, subkey, **options)

    monkeypatch.setattr(swarm, "store", compare)
    publisher.start()
    for reward in range(1, 199):
        earn(publisher, AT, float(reward))
        time.sleep(0.001)
    wait_for(lambda: ahead, 5, "a store", every=0.01)
    earn(publisher, AT, 199.0)
    publisher.close(60)

    assert len(ahead) >= 2
    assert max(ahead) <= 0.0
    assert swarm.stored["rl_swarm_rewards_3_1"] == {PEER: 199.0}


def test_the_board_of_a_crowd_fits_into_a_value(publisher: Publisher, swarm: FakeSwarm) -> None:
    crowd = {f"Qm{number:044d}".replace("0", "z"): float(number) for number in range(3 * MAX_BOARD_PEERS)}
    swarm.stored["rl_swarm_rewards_3_1"] = crowd
    publisher.announce(AT, is_new=True)
    publisher.start()
    publisher.close(60)

    board = swarm.stored["rl_swarm_leaderboard_3_1"]
    assert len(board) == MAX_BOARD_PEERS
    assert board[0][1] == max(crowd.values())


def test_a_newer_value_replaces_a_failed_one(publisher: Publisher, swarm: FakeSwarm) -> None:
    swarm.refused = 1
    earn(publisher, AT, 5.0)
    publisher.start()
    wait_for(lambda: swarm.calls, 5, "a store", every=0.01)
    earn(publisher, AT, 6.0)

    wait_for(lambda: swarm.stored, 5, "a store that succeeds", every=0.01)
    publisher.close(60)

    assert swarm.stored == {"rl_swarm_rewards_3_1": {PEER: 6.0}}


def test_pending_values_are_bounded(publisher: Publisher, swarm: FakeSwarm) -> None:
    for stage in range(5 * MAX_RECORDS):
        earn(publisher, RoundAndStage(stage, 0), 1.0)
    publisher.start()
    publisher.close(60)

    assert len(swarm.stored) == MAX_RECORDS
    assert f"rl_swarm_rewards_{5 * MAX_RECORDS - 1}_0" in swarm.stored


def test_outputs_of_a_stage_are_bounded(publisher: Publisher, swarm: FakeSwarm) -> None:
    publisher.start()
    for number in range(MAX_OUTPUTS_PER_STAGE + 5):
        flushed = publisher._flushed_at
        publisher.put_output(AT, f"question {number}", (float(number), {}))
        wait_for(lambda flushed=flushed: publisher._flushed_at != flushed, 5, "a flush", every=0.005)  # type: ignore[misc]
    publisher.close(60)

    assert len(swarm.stored[f"rl_swarm_outputs_{PEER}_3_1"]) <= MAX_OUTPUTS_PER_STAGE


def test_round_and_stage_are_read_and_invalid_ones_ignored(swarm: FakeSwarm, tmp_path: Path) -> None:
    swarm.is_signed = True
    publisher = Publisher(swarm, FakeTelemetry(), tmp_path, PEER, interval_seconds=0.05)
    publisher.start()

    assert publisher.ask_round_and_stage().result(60) is None
    swarm.stored["rl_swarm_rs"] = (7, 2)
    assert publisher.ask_round_and_stage().result(60) == RoundAndStage(7, 2)
    swarm.stored["rl_swarm_rs"] = ("7", None)
    assert publisher.ask_round_and_stage().result(60) is None
    publisher.close(60)


def test_a_leader_whose_word_is_not_taken_says_so(
    publisher: Publisher, swarm: FakeSwarm, telemetry: FakeTelemetry
) -> None:
    swarm.leads = publisher._leadership.leads = True
    publisher.start()
    publisher.announce(AT, is_new=True)
    wait_for(lambda: telemetry.is_overruled is False, 5, "that it is taken", every=0.01)
    swarm.refused_keys = {"rl_swarm_rs"}
    swarm.stored["rl_swarm_rs"] = (1003, 0)
    publisher.announce(AT, is_new=True)

    wait_for(lambda: telemetry.is_overruled, 5, "that it is not", every=0.01)


def test_a_node_that_does_not_respond_is_built_again(publisher: Publisher, swarm: FakeSwarm) -> None:
    swarm.slow_keys = {"rl_swarm_rewards_3_1"}
    earn(publisher, AT, 5.0)
    publisher.start()

    wait_for(lambda: swarm.rebuilt, 5, "a new node", every=0.01)
    wait_for(lambda: "rl_swarm_rewards_3_1" in swarm.stored, 5, "the reward", every=0.01)


def test_a_waiting_peer_dials_the_initial_peers_that_it_lost(publisher: Publisher, swarm: FakeSwarm) -> None:
    publisher._dialled_at = time.monotonic() - 40.0
    earn(publisher, AT, 5.0)
    publisher.start()
    wait_for(lambda: swarm.stored, 5, "a flush", every=0.01)
    assert not swarm.dialled
    publisher.ask_round_and_stage().result(60)

    wait_for(lambda: swarm.dialled, 5, "a call", every=0.01)


def test_a_lost_swarm_ends_the_publisher(publisher: Publisher, swarm: FakeSwarm) -> None:
    publisher.start()
    swarm.alive = False

    wait_for(lambda: publisher.is_swarm_lost, 5, "the loss is noticed", every=0.01)

    publisher.join(60)
    assert not publisher.is_alive()


def test_the_round_progress_is_saved_to_disk(publisher: Publisher, tmp_path: Path) -> None:
    publisher.save_progress(RoundProgress(finished_round=8))
    publisher.start()
    publisher.close(60)

    assert from_record(json.loads((tmp_path / "position.json").read_text())).finished_round == 8
