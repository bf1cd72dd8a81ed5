"""Which peer a trainer is: what it reports itself comes before its key file, and that before what was known."""

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from exporter.identity.own_peer import OwnPeer, OwnState
from exporter.identity.peer_id import peer_id
from exporter.textfile_reader import TextfileReader
from exporter.watch_file import SwarmIdentity

KNOWN = "Qm" + "k" * 44
REPORTED = "Qm" + "r" * 44


def write_key(path: Path, seed: str) -> str:
    """A key file as libp2p writes it; its peer id."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
    raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    raw += key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    content = b"\x08\x01\x12" + bytes([len(raw)]) + raw
    replacement = path.with_suffix(".new")
    replacement.write_bytes(content)
    replacement.rename(path)
    return peer_id(content)


@pytest.fixture
def own(tmp_path: Path) -> OwnPeer:
    swarm = SwarmIdentity(peer_id=KNOWN, identity_path=str(tmp_path / "swarm.pem"))
    return OwnPeer(TextfileReader(tmp_path), swarm)


def test_the_key_file_tells_the_peer_and_another_key_another(own: OwnPeer, tmp_path: Path) -> None:
    assert own.read(1.0) == OwnState(KNOWN, None, "")
    first = write_key(tmp_path / "swarm.pem", "first")
    assert own.read(2.0).peer_id == first
    second = write_key(tmp_path / "swarm.pem", "second")
    assert own.read(3.0).peer_id == second != first
    (tmp_path / "swarm.pem").unlink()
    assert own.read(4.0).peer_id == second


def test_the_trainers_own_report_comes_first(own: OwnPeer, tmp_path: Path) -> None:
    write_key(tmp_path / "swarm.pem", "first")
    (tmp_path / "trainer.prom").write_text(
        f'trainer_info{{peer_id="{REPORTED}",nickname="n",model="m",device="cpu"}} 1\nswarm_round 4\n'
    )
    assert own.read(1.0) == OwnState(REPORTED, 4.0, "")


def test_why_the_peer_is_unknown_is_one_line(tmp_path: Path) -> None:
    key = tmp_path / "swarm.pem"
    own = OwnPeer(TextfileReader(tmp_path), SwarmIdentity(identity_path=str(key)))
    assert own.read(1.0) == OwnState("", None, f"no peer id: {key}: No such file or directory")
    key.write_bytes(b"not a key")
    assert own.read(2.0).problem == f"no peer id: {key} is not a libp2p RSA private key, nor an Ed25519 one"
    assert OwnPeer(TextfileReader(tmp_path)).read(1.0).problem == "no peer id in trainer.prom yet"
