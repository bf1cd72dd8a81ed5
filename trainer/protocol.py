"""Keys and record validation of the swarm's DHT, as in rl-swarm v0.4; pure Python.

Everything read here is untrusted: each `read_*` returns None, or leaves an entry out, where the record does not
follow the protocol.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

ROUND_AND_STAGE_KEY = "rl_swarm_rs"
# Of swarms of our own: who could lead, with a sign of life of each.
HEARTBEATS_KEY = "peerwatch_heartbeats"
EXPIRATION_SECONDS = 4 * 3600.0
# Clocks of peers differ by minutes at most.
MAX_CLOCK_DIFFERENCE_SECONDS = 15 * 60.0

# No swarm can have reached a round beyond this, even with stages of seconds; it also keeps untrusted numbers within
# SQLite's and JSON's exact integers.
MAX_ROUND = 2**31 - 1
MAX_STAGE = 99
MAX_SHARDS = 4096
# A peer that was away publishes its sums of this many rounds again, and boards count them that late.
LATE_ROUNDS = 6

# base58btc of a multihash: "Qm…" for RSA keys (sha2-256), "12D3KooW…" for Ed25519 keys (identity).
_PEER_ID = re.compile(r"(?:Qm[1-9A-HJ-NP-Za-km-z]{44}|12D3KooW[1-9A-HJ-NP-Za-km-z]{44})")
_OF_SUBKEY = re.compile(rf"rl_swarm_rewards_\d+_\d+(?:_\d+)?|{HEARTBEATS_KEY}")
_OF_KEY = re.compile(rf"rl_swarm_outputs_({_PEER_ID.pattern})_\d+_\d+")
_OF_LEADER = re.compile(rf"rl_swarm_leaderboard_\d+_\d+|{ROUND_AND_STAGE_KEY}")


class RoundAndStage(NamedTuple):
    """The swarm's round and stage: both count from 0, and order as tuples do."""

    round: int
    stage: int


def rewards_key(round_number: int, stage: int) -> str:
    return f"rl_swarm_rewards_{round_number}_{stage}"


def rewards_keys(round_number: int, stage: int, shards: int) -> list[str]:
    """The keys of a stage's rewards: the protocol's one, or those of a swarm of our own that has several."""
    return [_shard_key(round_number, stage, shard, shards) for shard in range(shards)]


def rewards_key_of(peer_id: str, round_number: int, stage: int, shards: int) -> str:
    """The one of these keys under which a peer writes: ids begin alike, so the prefix of their hash decides."""
    prefix = hashlib.md5(peer_id.encode(), usedforsecurity=False).digest()[:4]
    return _shard_key(round_number, stage, int.from_bytes(prefix) % shards, shards)


def _shard_key(round_number: int, stage: int, shard: int, shards: int) -> str:
    key = rewards_key(round_number, stage)
    return key if shards == 1 else f"{key}_{shard}"


def leaderboard_key(round_number: int, stage: int) -> str:
    return f"rl_swarm_leaderboard_{round_number}_{stage}"


def outputs_key(peer_id: str, round_number: int, stage: int) -> str:
    return f"rl_swarm_outputs_{peer_id}_{round_number}_{stage}"


def outputs_subkey(question: str) -> str:
    """The md5 of the question, 32 hex digits: an identifier, not a secret."""
    return hashlib.md5(question.encode(), usedforsecurity=False).hexdigest()


def heartbeat_value(now: float, place: RoundAndStage | None) -> tuple[int, ...]:
    """A sign of life: (Unix seconds, and the furthest round and stage that this peer knows the swarm was in)."""
    return (int(now), *(place or ()))


def read_heartbeat(value: object) -> RoundAndStage | None:
    """The place that a sign of life names."""
    return read_round_and_stage(value[1:]) if isinstance(value, list | tuple) else None


def read_owner(key: str, subkey: object) -> str | None:
    """The peer whose record this is; None for the swarm's own, which its leader writes; "" for nobody's."""
    if _OF_LEADER.fullmatch(key):
        return None if subkey is None else ""
    if _OF_SUBKEY.fullmatch(key):
        return subkey if isinstance(subkey, str) else ""
    outputs = _OF_KEY.fullmatch(key)
    return outputs[1] if outputs and subkey is not None else ""


def is_peer_id(value: object) -> bool:
    return isinstance(value, str) and _PEER_ID.fullmatch(value) is not None


def check_peer_id(value: str) -> str:
    """The value. Raises ValueError if it is not a peer id."""
    if not is_peer_id(value):
        raise ValueError(f"{value!r} is not a peer id: Qm… with 46 characters, or 12D3KooW… with 52")
    return value


def read_number(value: object, *, limit: float) -> float | None:
    """A finite number within ±limit as float; None for anything else (bool, string, NaN, infinity, out of range)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(value) if abs(value) <= limit else None


def read_round_and_stage(value: object) -> RoundAndStage | None:
    """`rl_swarm_rs`: a pair of integers."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    round_number, stage = value
    if not _is_integer(round_number, MAX_ROUND) or not _is_integer(stage, MAX_STAGE):
        return None
    return RoundAndStage(round_number, stage)


def read_rewards(entries: object, *, limit: float) -> dict[str, float]:
    """`rl_swarm_rewards_{round}_{stage}`, already unwrapped to {subkey: value}: {peer id: reward sum of the stage}."""
    if not isinstance(entries, Mapping):
        return {}
    rewards: dict[str, float] = {}
    for peer_id, value in entries.items():
        reward = read_number(value, limit=limit)
        if is_peer_id(peer_id) and reward is not None:
            rewards[peer_id] = reward
    return rewards


def leaderboard_value(rewards: Mapping[str, float]) -> list[tuple[str, float]]:
    """`rl_swarm_leaderboard_{round}_{stage}`: (peer id, reward), descending by (reward, id)."""
    return sorted(rewards.items(), key=lambda entry: (entry[1], entry[0]), reverse=True)


# The fields of a record by stage: the peer's completion, and the prompt that it answers. A round with more stages
# repeats the last one.
_COMPLETION_NAMES = ("agent_answers", "agent_opinion", "final_agent_decision")
_PROMPT_NAMES = (None, "stage2_prompt", "stage3_prompt")
STAGES = len(_COMPLETION_NAMES)


def prompt_name(stage: int) -> str | None:
    """The field of an output that holds its prompt, which readers of the swarm require; None in stage 0."""
    return _PROMPT_NAMES[min(stage, STAGES - 1)]


def outputs_value(
    now: float, at: RoundAndStage, peer_id: str, *, question: str, answer: str, completion: str, prompt: str = ""
) -> tuple[float, dict[str, Any]]:
    """One value under `rl_swarm_outputs_…`: (unix seconds, question, right answer, completion; from stage 1 prompt)."""
    record: dict[str, Any] = {"question": question, "answer": answer}
    name = prompt_name(at.stage)
    if name is not None:
        record[name] = prompt
    record[_COMPLETION_NAMES[min(at.stage, STAGES - 1)]] = {peer_id: completion}
    return now, record


def read_completion(outputs: Mapping[Any, Any], peer_id: str, stage: int | None = None) -> str | None:
    """The peer's completion in the dict of an outputs value, of one stage or the latest; None if there is none."""
    names = _COMPLETION_NAMES if stage is None else [_COMPLETION_NAMES[min(stage, STAGES - 1)]]
    for name in reversed(names):
        by_peer = outputs.get(name)
        text = by_peer.get(peer_id) if isinstance(by_peer, Mapping) else None
        if isinstance(text, str):
            return text
    return None


def winners(rewards: Mapping[str, float], most: int = 3) -> list[str]:
    """The peers with the highest sums of a round's final stage, the best first; a sum of 0 or less wins nothing."""
    return [peer_id for peer_id, reward in leaderboard_value(rewards)[:most] if reward > 0]


def _is_integer(value: object, limit: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit
