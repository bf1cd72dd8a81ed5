"""The files of a peer in a pod, from the settings that all peers share."""

from pathlib import Path

import pytest
import yaml

from exporter.config import parse_arguments
from fleet.processes.pod import TRAINER_FILE, main, write_peer
from trainer.config import load_config

LEADER = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
SHARED = f"""
model: tiny
seed: 7
swarm:
  leader: true
  initial_peers: [/dns/trainer-0.trainer/tcp/38331/p2p/{LEADER}]
"""


def _write(tmp_path: Path, name: str, text: str = SHARED) -> Path:
    (tmp_path / "settings.yaml").write_text(text)
    folder = tmp_path / name
    write_peer(tmp_path / "settings.yaml", folder, name, "10.1.2.3")
    return folder


def test_each_peer_has_its_name_its_seed_and_its_address_and_the_first_one_leads(tmp_path: Path) -> None:
    first, second = (load_config(_write(tmp_path, f"trainer-{number}") / TRAINER_FILE) for number in (0, 1))
    assert [first.name, second.name] == ["trainer-0", "trainer-1"]
    assert [first.swarm.leader, second.swarm.leader] == [True, False]
    assert first.seed != second.seed
    assert second.run_dir == tmp_path / "trainer-1"
    assert second.swarm.listen_multiaddr() == "/ip4/10.1.2.3/tcp/38331"
    assert second.swarm.initial_peers == [f"/dns/trainer-0.trainer/tcp/38331/p2p/{LEADER}"]


def test_a_peer_does_not_join_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.processes.pod.read_peer_id", lambda _path: LEADER)
    (tmp_path / "trainer-0").mkdir()
    (tmp_path / "trainer-0" / "identity.pem").write_bytes(b"the leader's")
    assert load_config(_write(tmp_path, "trainer-0") / TRAINER_FILE).swarm.initial_peers == []


def test_the_sidecar_of_the_pod_finds_its_machine(tmp_path: Path) -> None:
    folder = _write(tmp_path, "trainer-3")
    config = parse_arguments(["--run-dir", str(folder), "--machine", str(folder / "machine.json")])
    assert config.machine is not None
    assert (config.machine.name, dict(config.machine.peers)) == ("trainer-3", {"trainer-3": 9700})


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("modle: tiny", "trainer-0", "modle"),
        ("name: amber", "trainer-0", "name: set for each pod"),
        ("swarm: {port: 1}", "trainer-0", "swarm.port: set for each pod"),
        ("swarm: [1]", "trainer-0", "swarm: must be a mapping"),
        ("model: tiny", "trainer", "does not end in a number"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, name: str, said: str
) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    arguments = ["--config", str(tmp_path / "settings.yaml"), "--folder", str(tmp_path / name)]
    assert main([*arguments, "--name", name, "--host", "10.1.2.3"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not (tmp_path / name / TRAINER_FILE).exists()


def test_the_settings_that_are_shipped_are_a_trainers(tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[3] / "deploy" / "kubernetes" / "settings" / "trainer.yaml").read_text()
    assert load_config(_write(tmp_path, "trainer-0", shipped) / TRAINER_FILE).model == yaml.safe_load(shipped)["model"]
