"""The configuration file: mistakes are one line that names file, key and reason."""

from pathlib import Path

import pytest

from exporter.leaderboard.config import load
from tests.exporter.identity.test_own_peer import write_key

PEER = "Qm" + "a" * 44
GOOD = f"database: board.sqlite\ninitial_peers: [/ip4/127.0.0.1/tcp/38331/p2p/{PEER}]\n"


def test_two_keys_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "leaderboard.yaml"
    path.write_text(GOOD)
    config = load(path)
    assert config.listen == "127.0.0.1:8700"
    assert config.poll_interval_seconds == 10.0
    assert config.max_peers == 5000


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "database: Field required"),
        (GOOD + "speed: 1\n", "speed: Extra inputs are not permitted"),
        (GOOD + "listen: nonsense\n", "listen: 'nonsense' is not HOST:PORT, such as 127.0.0.1:9700"),
        (GOOD + "listen: 127.0.0.1:99999\n", "listen: '127.0.0.1:99999' is not HOST:PORT"),
        (GOOD + "names: {bob: x}\n", "'bob' is not a peer id"),
        (GOOD + "poll_interval_seconds: .nan\n", "poll_interval_seconds: not a finite number"),
        ("database: x\ninitial_peers: []\n", "initial_peers: missing; name addresses of the swarm's"),
        ("database: x\nsources: [{kind: fax}]\n", "sources.0: 'fax' is no source; the sources are chain, "),
        ("database: x\nsources: [{kind: dashboard, url: x}]\n", "sources.0: dashboard: url: is not a URL"),
        ("database: x\ninitial_peers: [there]\n", "'there' is not a multiaddr, such as /ip4/"),
        ("{", "while parsing a flow node"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "leaderboard.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"leaderboard\.yaml:(\d+:)? ") as caught:
        load(path)
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.yaml: No such file"):
        load(tmp_path / "absent.yaml")


def test_the_key_files_of_other_trainers_name_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    peer_id = write_key(tmp_path / "swarm.pem", "somebody")
    path = tmp_path / "leaderboard.yaml"
    path.write_text(f"{GOOD}identities: {{fox: {tmp_path / 'swarm.pem'}, gone: {tmp_path / 'gone.pem'}}}\n")
    assert load(path).names == {peer_id: "fox"}
    assert load(path).list_watched() == [peer_id]
    path.write_text(f"{GOOD}names: {{{PEER}: ours}}\n")
    assert load(path).list_watched() == []
    assert "peer gone has no name on the board: No such file or directory" in caplog.text


def test_sources_of_one_kind_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "leaderboard.yaml"
    path.write_text(
        "database: x\nsources: [{kind: chain, version: 0.7}, {kind: dashboard}, {kind: chain, version: 0.4}]\n"
    )
    assert list(load(path).make_sources()) == ["chain", "dashboard", "chain-2"]
