"""Two peers with one key, and two trainers in one folder, are named."""

import shutil
from collections.abc import Callable
from pathlib import Path

from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages
from trainer.swarm.identity import ensure_identity

PEERS = "peers: [{name: x}, {name: y}]\n"


def test_one_key_for_two_peers_is_a_failure(examine: Examine, tmp_path: Path) -> None:
    peers = tmp_path / "state" / "peers"
    peer_id = ensure_identity(peers / "x" / "identity.pem")
    (peers / "y").mkdir()
    shutil.copy(peers / "x" / "identity.pem", peers / "y" / "identity.pem")
    found = messages(examine("identities", PEERS), Level.FAILURE)
    assert f"peer x and peer y share one identity, {peer_id}" in found


def test_a_key_that_a_running_trainer_uses_too_is_a_failure(
    examine: Examine, start_trainer: Callable[..., int], tmp_path: Path
) -> None:
    key = tmp_path / "state" / "peers" / "x" / "identity.pem"
    ensure_identity(key)
    shutil.copy(key, tmp_path / "swarm.pem")
    start_trainer(IDENTITY_PATH=str(tmp_path / "swarm.pem"))
    assert "peer x and rl-swarm trainer in" in messages(examine("identities", PEERS), Level.FAILURE)


def test_an_invalid_key_is_a_failure(examine: Examine, tmp_path: Path) -> None:
    key = tmp_path / "state" / "peers" / "x" / "identity.pem"
    key.parent.mkdir(parents=True)
    key.write_text("nonsense")
    assert "is not a libp2p RSA private key" in messages(examine("identities", PEERS), Level.FAILURE)


def test_two_trainers_in_one_folder_are_a_warning(examine: Examine, start_trainer: Callable[..., int]) -> None:
    start_trainer()
    start_trainer()
    assert "their logs are mixed" in messages(examine("identities", PEERS), Level.WARNING)


def test_keys_of_their_own_are_ok(examine: Examine, tmp_path: Path) -> None:
    for name in ("x", "y"):
        ensure_identity(tmp_path / "state" / "peers" / name / "identity.pem")
    assert [one.level for one in examine("identities", PEERS)] == [Level.OK]
