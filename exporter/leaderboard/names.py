"""Display names of peers: the configured nickname for our own, a short form of the id for others.

Other peers get no name made of words. The swarm's own software derives one from word lists of its own, and a
different animal for the same peer would point an operator at the wrong one.
"""

from collections.abc import Iterable, Mapping

from trainer.protocol import is_peer_id


def short_id(peer_id: str) -> str:
    """`Qm…a1B2c3`: enough of an id to tell peers of one swarm apart."""
    prefix = "Qm" if peer_id.startswith("Qm") else "12D3"
    return f"{prefix}…{peer_id[-6:]}"


def nickname(peer_id: str, names: Mapping[str, str]) -> str:
    return names.get(peer_id) or short_id(peer_id)


def names_of(peer_ids: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """{id: name} of those that are peer ids."""
    return {peer_id: nickname(peer_id, names) for peer_id in peer_ids if is_peer_id(peer_id)}
