"""By which peers the DHT of another swarm is joined."""

from collections.abc import Mapping, Sequence
from typing import Any

from exporter.sources import SourceError
from exporter.sources.chain import MIN_INTERVAL_SECONDS, Source


class InitialPeers:
    """By which peers the swarm is joined: those of the configuration, else those that its contract tells.

    The contract is asked again after a failure, at most once a minute, and until it has answered once.
    """

    def __init__(self, addresses: Sequence[str], options: Mapping[str, Any] | None = None) -> None:
        """`options` are those of the source `chain`, for where there are no addresses."""
        self._found = addresses
        self._options = options or {}
        self._chain: Source | None = None
        self._asked_at = float("-inf")
        self._problem = ""

    def find(self, now: float) -> Sequence[str]:
        """The addresses at the Unix time `now`. Raises ValueError with one line while nobody tells them."""
        if self._found:
            return self._found
        if not 0 <= now - self._asked_at < MIN_INTERVAL_SECONDS:
            self._asked_at = now
            self._chain = self._chain or Source.configured(self._options)
            try:
                self._found = self._chain.read_bootnodes(now)
            except SourceError as error:
                self._problem = f"the contract does not tell the swarm's initial peers: {error}"
        if not self._found:
            raise ValueError(self._problem)
        return self._found
