"""A secret that other users can read is named, with the command that closes it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.configuration.swarm_peers import locate_store
from fleet.doctor.findings import Level
from fleet.state_folder import StateFolder
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


def test_what_a_login_server_gets_and_the_copies_of_a_login_are_secrets(examine: Examine, tmp_path: Path) -> None:
    checkout = tmp_path / "rl-swarm"
    text = f"peers: [{{name: fox, kind: attached, find: {{folder: {checkout}}}, contract: 0.7}}]\n"
    state = StateFolder(tmp_path / "state")
    store = locate_store(state, checkout)
    for path in (state.environment_file("login"), store / "userApiKey.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        path.chmod(0o640)
        assert f"other users can read {path};" in messages(examine("secrets", text), Level.FAILURE)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        if any(not folder.stat().st_mode & 0o011 for folder in Path(name).parents):
            pytest.skip("temporary folders are this user's alone here")
        yield Path(name)


def test_a_login_of_rl_swarm_that_others_can_read_is_a_warning(examine: Examine, open_folder: Path) -> None:
    data = open_folder / "modal-login" / "temp-data"
    data.mkdir(parents=True)
    for folder in (data.parent, data):
        folder.chmod(0o755)
    key, settings = data / "userApiKey.json", data.parent / ".env"
    for path in (key, settings):
        path.write_text('{"secret": "hf_hidden"}')
        path.chmod(0o644)
    text = f"peers: [{{name: fox, kind: attached, find: {{folder: {open_folder}}}, contract: 0.7}}]\n"
    found = messages(examine("secrets", text), Level.WARNING)
    assert f"other users can read {key}, which holds rl-swarm's log-in; run `chmod 700 {data}`" in found
    assert f"run `chmod 600 {settings}`" in found
    assert "hf_hidden" not in found
    data.chmod(0o700)
    settings.chmod(0o600)
    assert messages(examine("secrets", text), Level.WARNING) == ""
