"""Identities are those of libp2p and hivemind."""

import stat
from concurrent.futures import ThreadPoolExecutor
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


def test_who_starts_at_once_with_one_pid_gets_the_same_identity(tmp_path: Path) -> None:
    """As threads do, and often the processes of two containers."""
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(ensure_identity, [tmp_path / "identity.pem"] * 4))

    assert found == {read_peer_id(tmp_path / "identity.pem")}
    assert len(list(tmp_path.iterdir())) == 1
