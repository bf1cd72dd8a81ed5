"""What peers publish is hostile: nothing of it may raise, get out of bounds, or get in where it has not the form."""

import json
import math
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.leaderboard.records import (
    MAX_ANSWER,
    MAX_MESSAGES,
    MAX_QUESTION,
    MAX_SECONDS_TO_LIVE,
    Entry,
    Message,
    read_messages,
    read_rewards,
)
from trainer.protocol import RoundAndStage, is_peer_id, outputs_value, read_round_and_stage
from trainer.readable import is_readable

NOW = 1_700_000_000.0
LIMIT = 1e6
PEER = "Qm" + "a" * 44

_TIMES = st.floats() | st.integers() | st.sampled_from([NOW, NOW + 14_400, math.inf, -math.inf, math.nan])
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.binary(max_size=40)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(_SCALARS, inner, max_size=4),
    max_leaves=12,
)
_SUBKEYS = _SCALARS | st.just(PEER) | st.from_regex(r"Qm[1-9A-HJ-NP-Za-km-z]{44}", fullmatch=True)
_RECORDS = _VALUES | st.dictionaries(_SUBKEYS, st.tuples(_VALUES, _TIMES) | _VALUES, max_size=6)


def pack_tuple(value: Any) -> bytes:
    return msgpack.packb(msgpack.ExtType(0x40, msgpack.packb(value)))


def rewards(found: object, **options: Any) -> Any:
    return read_rewards(found, now=NOW, limit=LIMIT, **({"most": 100} | options))


def test_the_values_of_the_protocol_are_readable() -> None:
    assert is_readable(msgpack.packb(12.5))
    assert is_readable(pack_tuple([3, 1]))
    for stage in range(4):
        value = outputs_value(NOW, RoundAndStage(3, stage), PEER, question="2+2?", answer="4", completion="It is 4.")
        assert is_readable(pack_tuple(value))
        assert read_messages({"a" * 32: (value, NOW)}, PEER, now=NOW) == [Message("a" * 32, NOW, "2+2?", "It is 4.")]


@given(_RECORDS)
def test_rewards_that_get_in_are_bounded_numbers_of_peers(found: Any) -> None:
    answer = rewards(found)
    if answer is None:
        assert found is None
        return
    for peer_id, entry in answer.entries.items():
        assert is_peer_id(peer_id)
        assert abs(entry.value) <= LIMIT
        assert entry.stamp <= NOW + MAX_SECONDS_TO_LIVE
    assert json.dumps(answer, allow_nan=False)
    if isinstance(found, dict):
        assert len(answer.entries) + sum(answer.rejected.values()) == len(found)


@given(_RECORDS)
def test_messages_that_get_in_are_bounded_text(found: Any) -> None:
    messages = read_messages(found, PEER, now=NOW)
    assert len(messages) <= MAX_MESSAGES
    assert json.dumps(messages, allow_nan=False)


@given(_VALUES)
def test_a_round_and_stage_that_gets_in_is_a_pair_of_counts(value: Any) -> None:
    place = read_round_and_stage(value)
    assert place is None or (0 <= place.round < 2**31 and 0 <= place.stage <= 99)


@pytest.mark.parametrize(
    ("subkey", "record", "reason"),
    [
        (PEER, (math.nan, NOW), "reward"),
        (PEER, (math.inf, NOW), "reward"),
        (PEER, (LIMIT * 1.01, NOW), "reward"),
        (PEER, (10**400, NOW), "reward"),
        (PEER, (True, NOW), "reward"),
        (PEER, ("9", NOW), "reward"),
        (PEER, (1.0, math.inf), "expiry"),
        (PEER, (1.0, NOW + MAX_SECONDS_TO_LIVE + 1), "expiry"),
        (PEER, 1.0, "form"),
        ("<script>", (1.0, NOW), "peer_id"),
        (PEER + "a", (1.0, NOW), "peer_id"),
        (b"Qm", (1.0, NOW), "peer_id"),
    ],
)
def test_a_bad_record_costs_only_itself(subkey: Any, record: Any, reason: str) -> None:
    good = "Qm" + "b" * 44
    answer = rewards({subkey: record, good: (2.0, NOW + 5)})
    assert answer.entries == {good: Entry(2.0, NOW + 5)}
    assert answer.rejected == {reason: 1}


def test_a_key_that_holds_a_plain_value_is_not_a_miss() -> None:
    assert rewards(None) is None
    assert rewards("text").rejected == {"form": 1}


def test_a_crowd_leaves_room_for_our_own_peers() -> None:
    crowd = {f"Qm{i:044d}".replace("0", "z"): (900.0, NOW) for i in range(1, 60)}
    answer = rewards({**crowd, PEER: (0.5, NOW)}, most=10, ours={PEER})
    assert len(answer.entries) == 11
    assert answer.entries[PEER].value == 0.5
    assert answer.rejected == {"crowd": len(crowd) - 10}


def test_a_message_is_cut_and_the_newest_stay() -> None:
    found = {
        f"{i:032d}": ((NOW + i, {"question": "q" * 9000, "agent_opinion": {PEER: "<b>" + "a" * 9000}}), NOW)
        for i in range(20)
    }
    messages = read_messages(found, PEER, now=NOW)
    assert [message.at for message in messages] == [NOW + i for i in (19, 18, 17, 16, 15)]
    assert len(messages[0].question) == MAX_QUESTION
    assert len(messages[0].answer) == MAX_ANSWER
