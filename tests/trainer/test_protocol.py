"""Keys and values are rl-swarm v0.4's, and untrusted records are validated."""

import math
from collections import Counter
from typing import Any

import pytest

from trainer.protocol import (
    HEARTBEATS_KEY,
    RoundAndStage,
    heartbeat_value,
    is_peer_id,
    leaderboard_key,
    leaderboard_value,
    outputs_key,
    outputs_subkey,
    outputs_value,
    read_completion,
    read_heartbeat,
    read_number,
    read_owner,
    read_rewards,
    read_round_and_stage,
    rewards_key,
    rewards_key_of,
    rewards_keys,
    winners,
)

PEER = "QmcWq6BpmqBwrui8BcNGm36ks4XCKQkH8rENKnfhkAgthf"
OTHER = "QmRu2j7TxZvUt4cGgtvNFbv8LrMbM5nwCwwTgvhQJNTVoi"


def test_keys_are_those_of_the_protocol() -> None:
    assert rewards_key(12, 2) == "rl_swarm_rewards_12_2"
    assert leaderboard_key(12, 2) == "rl_swarm_leaderboard_12_2"
    assert outputs_key(PEER, 12, 2) == f"rl_swarm_outputs_{PEER}_12_2"
    assert outputs_subkey("1 + 1?") == "8f7aa636171798a9b41c8935ef3c0096"


@pytest.mark.parametrize(
    ("stage", "name", "prompt"),
    [
        (0, "agent_answers", {}),
        (1, "agent_opinion", {"stage2_prompt": "p"}),
        (2, "final_agent_decision", {"stage3_prompt": "p"}),
        (5, "final_agent_decision", {"stage3_prompt": "p"}),
    ],
)
def test_the_completion_goes_under_its_stages_name_and_is_read_back(
    stage: int, name: str, prompt: dict[str, str]
) -> None:
    at, outputs = outputs_value(
        7.5, RoundAndStage(1, stage), PEER, question="q", answer="a", completion="c", prompt="p"
    )

    assert at == 7.5
    assert outputs == {"question": "q", "answer": "a", name: {PEER: "c"}, **prompt}
    assert read_completion(outputs, PEER) == "c"


@pytest.mark.parametrize(
    "outputs", [{}, {"agent_answers": 1}, {"agent_answers": {PEER: 1}}, {"agent_answers": {OTHER: "c"}}]
)
def test_invalid_outputs_hold_no_completion(outputs: dict[str, Any]) -> None:
    assert read_completion(outputs, PEER) is None


def test_equal_rewards_are_ordered_by_id() -> None:
    low, high = sorted([PEER, OTHER])

    assert leaderboard_value({low: 1.0, high: 1.0}) == [(high, 1.0), (low, 1.0)]


@pytest.mark.parametrize("value", [None, (1,), (1, 2, 3), (1.0, 2), (True, 0), (-1, 0), (2**40, 0), (0, 100), "12"])
def test_an_invalid_round_and_stage_is_none(value: object) -> None:
    assert read_round_and_stage(value) is None


def test_round_and_stage_are_read_from_a_pair() -> None:
    assert read_round_and_stage([3, 1]) == RoundAndStage(3, 1)


@pytest.mark.parametrize("value", [None, True, "1", math.nan, math.inf, -math.inf, 1e7, -1e7, 10**400])
def test_anything_but_a_bounded_number_is_none(value: object) -> None:
    assert read_number(value, limit=1e6) is None


def test_only_peers_with_numbers_are_on_the_board() -> None:
    entries = {PEER: 3, OTHER: math.nan, "<b>": 1.0, 7: 1.0}

    assert read_rewards(entries, limit=1e6) == {PEER: 3.0}
    assert read_rewards([PEER], limit=1e6) == {}


@pytest.mark.parametrize("text", ["", "Qm", PEER[:-1], PEER + "1", PEER.replace("c", "0", 1), 7])
def test_an_invalid_peer_id_is_rejected(text: object) -> None:
    assert is_peer_id(PEER)
    assert not is_peer_id(text)


def test_rewards_are_spread_evenly_over_keys_and_the_protocols_one_is_the_default() -> None:
    peers = [f"Qm{number:044d}".replace("0", "z") for number in range(3000)]
    assert {rewards_key_of(one, 3, 1, 1) for one in peers} == {rewards_key(3, 1)} == set(rewards_keys(3, 1, 1))
    counts = Counter(rewards_key_of(one, 3, 1, 16) for one in peers)
    assert set(counts) == set(rewards_keys(3, 1, 16))
    assert max(counts.values()) < 2 * min(counts.values())


@pytest.mark.parametrize("key", [*rewards_keys(3, 1, 1), *rewards_keys(3, 1, 2), HEARTBEATS_KEY])
def test_the_owner_of_a_peers_record_is_named_by_its_subkey(key: str) -> None:
    assert read_owner(key, PEER) == PEER
    assert read_owner(key, None) == read_owner(key, 7) == ""


def test_the_swarms_own_records_are_its_leaders_and_outputs_the_peers_that_the_key_names() -> None:
    assert read_owner("rl_swarm_rs", None) is None
    assert read_owner("rl_swarm_leaderboard_3_1", None) is None
    assert read_owner("rl_swarm_rs", PEER) == ""
    assert read_owner(outputs_key(PEER, 3, 1), "a" * 32) == PEER
    for key in ("solver", "rl_swarm_rewards_3", "rl_swarm_rewards_3_1_x", f"rl_swarm_outputs_{PEER}_3"):
        assert read_owner(key, PEER) == ""


def test_the_winners_of_a_round_are_its_highest_sums() -> None:
    assert winners({PEER: 1.0, OTHER: 3.0, "third": 0.0}) == [OTHER, PEER]
    assert winners({PEER: 2.0, OTHER: 2.0}) == winners({OTHER: 2.0, PEER: 2.0})


def test_a_heartbeat_names_the_place_that_its_writer_knows() -> None:
    assert read_heartbeat(heartbeat_value(1700.5, RoundAndStage(7, 2))) == (7, 2)
    assert read_heartbeat(heartbeat_value(1700.5, None)) is None
    assert read_heartbeat(1700) is None
