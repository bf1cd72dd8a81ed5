"""Identities are those of libp2p and hivemind."""

import stat
from pathlib import Path

from trainer.protocol import is_peer_id
from trainer.swarm.identity import ensure_identity, read_peer_id


def test_the_peer_id_is_the_one_that_hivemind_computes(tmp_path: Path) -> None:
    from hivemind.p2p import PeerID

    path = tmp_path / "new" / "identity.pem"

    assert ensure_identity(path) == PeerID.from_identity(path.read_bytes()).to_base58()


def test_an_identity_made_by_hivemind_is_read(tmp_path: Path) -> None:
    from hivemind.p2p import P2P, PeerID

    path = tmp_path / "identity.pem"
    P2P.generate_identity(str(path))

    assert read_peer_id(path) == PeerID.from_identity(path.read_bytes()).to_base58()


def test_an_identity_is_created_once_and_readable_only_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "identity.pem"

    first, second = ensure_identity(path), ensure_identity(path)

    assert first == second
    assert is_peer_id(first)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert list(tmp_path.iterdir()) == [path]
