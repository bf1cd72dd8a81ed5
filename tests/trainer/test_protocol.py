"""Keys and values are rl-swarm v0.4's, and untrusted records are validated."""

import math
from typing import Any

import pytest

from trainer.protocol import (
    RoundAndStage,
    is_peer_id,
    leaderboard_key,
    leaderboard_value,
    outputs_key,
    outputs_subkey,
    outputs_value,
    read_completion,
    read_number,
    read_rewards,
    read_round_and_stage,
    rewards_key,
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


def test_the_winners_of_a_round_are_its_highest_sums() -> None:
    assert winners({PEER: 1.0, OTHER: 3.0, "third": 0.0}) == [OTHER, PEER]
    assert winners({PEER: 2.0, OTHER: 2.0}) == winners({OTHER: 2.0, PEER: 2.0})
