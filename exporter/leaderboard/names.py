"""Display names of peers: the configured nickname for our own; for others the swarm's, or a short form of the id."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from exporter.identity.peer_name import WordLists, name_peer
from trainer.protocol import is_peer_id


@dataclass(frozen=True)
class Names:
    """`ours` are {peer id: nickname}; `words` are the swarm's, where a checkout of it is at hand."""

    ours: Mapping[str, str] = field(default_factory=dict)
    words: WordLists | None = None

    def of(self, peer_id: str) -> str:
        return self.ours.get(peer_id) or name_peer(peer_id, self.words).text


def names_of(peer_ids: Iterable[str], names: Names) -> dict[str, str]:
    """{id: name} of those that are peer ids."""
    return {peer_id: names.of(peer_id) for peer_id in peer_ids if is_peer_id(peer_id)}
