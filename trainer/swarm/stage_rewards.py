"""The rewards of a stage as the swarm holds them, under one key or spread over several."""

import math
from collections.abc import Mapping

from trainer.protocol import RoundAndStage, is_peer_id, rewards_keys
from trainer.swarm.records import Found, Node


def find_rewards(swarm: Node, at: RoundAndStage, latest_expiry: float = math.inf) -> dict[str, Found]:
    """By peer id, what peers wrote, unchecked, that expires by then at the latest. Raises SwarmError."""
    rewards: dict[str, Found] = {}
    for key in rewards_keys(*at, swarm.shards):
        found = swarm.find(key)
        if isinstance(found, Mapping):
            rewards |= {
                peer_id: one for peer_id, one in found.items() if is_peer_id(peer_id) and one.expires <= latest_expiry
            }
    return rewards
