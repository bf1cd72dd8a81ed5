"""`peerwatch init --rl-swarm` makes instances of one checkout, which `check` accepts and `plan` sizes."""

import json
import sys
from pathlib import Path

import pytest

from fleet.configuration.load import load_file
from fleet.configuration.watched import RlSwarmPeer
from tests.fleet.commands.test_commands import peerwatch
from tests.fleet.conftest import give_free_ports
from tests.fleet.rl_swarm.stand_in import CONTRACTS, make_checkout
from trainer.swarm.identity import ensure_identity


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a checkout whose instance has run before, and its environment."""
    checkout = make_checkout(tmp_path / "rl-swarm", "0.6")
    ensure_identity(checkout / "swarm.pem")
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return tmp_path


def test_three_instances_of_one_checkout(folder: Path) -> None:
    done = peerwatch("init", "--rl-swarm", "rl-swarm", "--peers", "3", folder=folder)
    assert done.returncode == 0, done.stderr
    loaded = load_file(folder / "peerwatch.yaml")
    assert loaded.lines() == []
    peers = [peer.watched for peer in loaded.peers]
    assert all(isinstance(peer, RlSwarmPeer) for peer in peers)
    assert {peer.locate(folder) for peer in peers} == {folder / "rl-swarm"}
    # What has run before goes on as the peer that it was.
    assert [peer.identity for peer in peers] == [folder / "rl-swarm" / "swarm.pem", None, None]
    assert all(peer.memory_limit_bytes for peer in loaded.peers)
    # Whether its rewards count is asked where its launch script says that they do.
    (source,) = loaded.composition.leaderboard.sources
    assert (source["kind"], source["contracts"][0].lower()) == ("chain", CONTRACTS["0.6"].lower())
    # This machine is smaller than three of them; that is said, and not decided.
    give_free_ports(folder / "peerwatch.yaml", 3)
    check = peerwatch("check", folder=folder)
    assert check.returncode == 0 or "memory_limit" in check.stdout + check.stderr

    planned = peerwatch("plan", "--memory", "64GiB", "--cores", "16", "--device", "mps", "--json", folder=folder)
    data = json.loads(planned.stdout)
    assert (data["model"]["name"], data["model"]["dtype"]) == ("Gensyn/Qwen2.5-0.5B-Instruct", "float32")
    assert data["peers"] >= 3


def test_a_folder_is_written_without_detours(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "rl-swarm" / "modal-login")
    for given, written in (("link/..", folder / "rl-swarm"), ("link/../../rl-swarm", folder / "rl-swarm")):
        done = peerwatch("init", "--rl-swarm", given, "--peers", "1", "--force", folder=folder)
        assert done.returncode == 0, done.stderr
        (peer,) = load_file(folder / "peerwatch.yaml").peers
        assert isinstance(peer.watched, RlSwarmPeer)
        assert peer.watched.folder == written


def test_what_is_no_checkout_is_refused(folder: Path) -> None:
    done = peerwatch("init", "--rl-swarm", ".", folder=folder)
    assert done.returncode == 2
    assert done.stderr == "peerwatch: --rl-swarm .: no rl-swarm of 0.4 to 0.7; name the folder of run_rl_swarm.sh\n"
    assert not (folder / "peerwatch.yaml").exists()


def test_a_measurement_needs_a_trainer_of_ours(folder: Path) -> None:
    peerwatch("init", "--rl-swarm", "rl-swarm", "--peers", "1", folder=folder)
    done = peerwatch("plan", "--measure", folder=folder)
    assert done.returncode == 2
    assert "--measure is for peers of `kind: peerwatch`" in done.stderr
