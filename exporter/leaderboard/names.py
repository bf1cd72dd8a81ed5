"""Display names of peers: the configured nickname for our own, a short form of the id for others."""

from collections.abc import Iterable, Mapping

from exporter.identity.peer_name import short_id
from trainer.protocol import is_peer_id


def nickname(peer_id: str, names: Mapping[str, str]) -> str:
    return names.get(peer_id) or short_id(peer_id)


def names_of(peer_ids: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """{id: name} of those that are peer ids."""
    return {peer_id: nickname(peer_id, names) for peer_id in peer_ids if is_peer_id(peer_id)}
