"""Fixtures that start real trainers, and kill those still running at the end."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.trainer.peers import Peer


@pytest.fixture(scope="module")
def make_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Peer]]:
    """`make_peer(name, **options)`: a peer that is killed at the module's end if it still runs."""
    folder, peers = tmp_path_factory.mktemp("peers"), []

    def make(name: str, **options: Any) -> Peer:
        (folder / name).mkdir()
        peers.append(Peer(folder / name, options))
        return peers[-1]

    yield make
    for peer in peers:
        if peer.process and peer.process.poll() is None:
            peer.process.kill()
            peer.process.wait(60)
