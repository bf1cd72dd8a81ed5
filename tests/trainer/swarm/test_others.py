"""Others' outputs are read by the thread that owns the DHT, a few peers in a turn, and what is malformed is counted."""

import math
from typing import Any

import pytest

from trainer.protocol import RoundAndStage, outputs_key, outputs_subkey, outputs_value, rewards_key
from trainer.swarm.error import SwarmError
from trainer.swarm.others import MAX_PEERS, PEERS_PER_TURN, OtherPeers
from trainer.swarm.records import Found

ME = "QmcWq6BpmqBwrui8BcNGm36ks4XCKQkH8rENKnfhkAgthf"
ANN = "QmRu2j7TxZvUt4cGgtvNFbv8LrMbM5nwCwwTgvhQJNTVoi"
AT, BEFORE = RoundAndStage(5, 1), RoundAndStage(5, 0)
_DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def peer(number: int) -> str:
    return "Qm" + (_DIGITS[number // 58] + _DIGITS[number % 58]).rjust(44, "1")


class Swarm:
    """Keeps records; a key that does not decode raises."""

    def __init__(self) -> None:
        self.records: dict[str, Any] = {}
        self.broken: set[str] = set()
        self.reads: list[str] = []

    shards = 1

    def find(self, key: str) -> Any:
        return {subkey: Found(value, math.inf) for subkey, value in (self.get(key) or {}).items()}

    def get(self, key: str) -> Any:
        self.reads.append(key)
        if key in self.broken:
            raise SwarmError(f"reading {key}: does not decode")
        return self.records.get(key)

    def add(self, peer_id: str, at: RoundAndStage, question: str = "q", **texts: Any) -> None:
        self.records.setdefault(rewards_key(*at), {})[peer_id] = 1.0
        value = outputs_value(1.0, at, peer_id, **{"question": question, "answer": "a", "completion": "c", **texts})
        self.records.setdefault(outputs_key(peer_id, *at), {})[outputs_subkey(question)] = value


class Telemetry:
    """Counts."""

    rejected = 0

    def outputs_rejected(self, count: int) -> None:
        self.rejected += count


def test_the_watched_stages_are_read_and_our_own_outputs_are_not() -> None:
    swarm, others = Swarm(), OtherPeers(ME, Telemetry())
    swarm.add(ANN, BEFORE)
    swarm.add(ME, BEFORE)
    others.refresh(swarm, lambda: AT)
    assert swarm.reads == []

    others.watch(BEFORE, AT)
    others.refresh(swarm, lambda: AT)

    assert list(others.outputs(BEFORE)) == [ANN]
    assert others.outputs(AT) == {}
    assert others.announced == AT
    assert outputs_key(ME, *BEFORE) not in swarm.reads


def test_what_does_not_change_leaves_the_version() -> None:
    swarm, others = Swarm(), OtherPeers(ME, Telemetry())
    swarm.add(ANN, BEFORE)
    others.watch(BEFORE)
    others.refresh(swarm, lambda: AT)
    version = others.version
    others.refresh(swarm, lambda: AT)
    assert others.version == version

    swarm.add(ANN, BEFORE, "another")
    others.refresh(swarm, lambda: AT)

    assert others.version == version + 1
    assert len(others.outputs(BEFORE)[ANN]) == 2


def test_a_malformed_output_is_counted_once_and_costs_only_itself() -> None:
    swarm, telemetry = Swarm(), Telemetry()
    others = OtherPeers(ME, telemetry)
    swarm.add(ANN, BEFORE)
    swarm.records[outputs_key(ANN, *BEFORE)]["bad"] = b"\x80\x04pickle"
    swarm.add(peer(1), BEFORE)
    swarm.broken.add(outputs_key(peer(1), *BEFORE))
    others.watch(BEFORE)
    for _ in range(3):
        others.refresh(swarm, lambda: AT)

    assert list(others.outputs(BEFORE)) == [ANN]
    assert telemetry.rejected == 2


def test_a_crowd_is_read_a_few_peers_at_a_time_and_bounded() -> None:
    swarm, others = Swarm(), OtherPeers(ME, Telemetry())
    for number in range(200):
        swarm.add(peer(number), BEFORE)
    others.watch(BEFORE)
    others.refresh(swarm, lambda: AT)
    assert len(swarm.reads) == 1 + PEERS_PER_TURN

    for _ in range(30):
        others.refresh(swarm, lambda: AT)

    assert len(others.outputs(BEFORE)) == MAX_PEERS


def test_a_stage_whose_rewards_cannot_be_read_is_not_read_a_second_time() -> None:
    swarm, others = Swarm(), OtherPeers(ME, Telemetry())
    swarm.add(ANN, BEFORE)
    swarm.broken.add(rewards_key(*BEFORE))
    others.watch(BEFORE)
    with pytest.raises(SwarmError):
        others.refresh(swarm, lambda: AT)
    others.refresh(swarm, lambda: AT)
    assert swarm.reads == [rewards_key(*BEFORE)]


def test_others_are_expected_while_they_earned_in_this_round_or_the_last() -> None:
    swarm, others = Swarm(), OtherPeers(ME, Telemetry())
    swarm.add(ANN, RoundAndStage(4, 2))
    others.watch(RoundAndStage(4, 1), RoundAndStage(4, 2))
    others.refresh(swarm, lambda: AT)

    assert others.are_expected(RoundAndStage(5, 1))
    assert not others.are_expected(RoundAndStage(6, 1))


def test_earlier_stages_are_forgotten() -> None:
    swarm, others = Swarm(), OtherPeers(ME, Telemetry())
    swarm.add(ANN, BEFORE)
    others.watch(BEFORE)
    others.refresh(swarm, lambda: AT)

    others.watch(RoundAndStage(9, 0))

    assert others.outputs(BEFORE) == {}
    assert not others.are_expected(AT._replace(round=9))
