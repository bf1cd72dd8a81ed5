"""A secret that other users can read is named, with the command that closes it."""

from pathlib import Path

from fleet.doctor.findings import Level
from tests.fleet.doctor.conftest import Examine, messages
from trainer.swarm.identity import ensure_identity

PEERS = "peers: [{name: x}]\n"


def test_a_key_that_others_can_read_is_a_failure(examine: Examine, tmp_path: Path) -> None:
    key = tmp_path / "state" / "peers" / "x" / "identity.pem"
    ensure_identity(key)
    key.chmod(0o444)
    found = messages(examine("secrets", PEERS), Level.FAILURE)
    assert f"other users can read {key}; run `chmod 600 {key}`" in found


def test_a_configuration_with_a_token_in_it_is_a_secret(examine: Examine, tmp_path: Path) -> None:
    routes = "alerts: {routes: [{name: phone, url: 'tgram://123:abc/456'}]}\n"
    examine("secrets", routes)
    (tmp_path / "peerwatch.yaml").chmod(0o644)
    found = messages(examine("secrets", routes), Level.FAILURE)
    assert f"other users can read {tmp_path / 'peerwatch.yaml'}" in found
    assert "abc" not in found


def test_a_swarms_key_and_the_url_of_a_chains_service_are_secrets(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "swarm.pem").touch(mode=0o644)
    text = "peers: [{name: fox, kind: attached, find: {folder: .}, identity: swarm.pem, contract: 0.7}]\n"
    text += "sources: [{kind: chain, rpc: ['https://rpc.example.org/my-key']}]\n"
    examine("secrets", text)
    (tmp_path / "peerwatch.yaml").chmod(0o644)
    found = messages(examine("secrets", text), Level.FAILURE)
    assert f"other users can read {tmp_path / 'peerwatch.yaml'};" in found
    assert f"other users can read {tmp_path / 'swarm.pem'};" in found
    assert "my-key" not in found


def test_a_configuration_that_refers_to_a_token_is_no_secret(examine: Examine, tmp_path: Path) -> None:
    routes = "alerts: {routes: [{name: phone, url: '${PHONE_URL}'}]}\n"
    assert messages(examine("secrets", routes), Level.FAILURE) == ""


def test_a_state_folder_that_others_can_write_to_is_a_failure(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    assert "other users can write to" in messages(examine("secrets"), Level.FAILURE)
