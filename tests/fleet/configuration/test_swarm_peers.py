"""Peers of rl-swarm in the file: who they are, how they are started, and what is wrong with them."""

import json
from pathlib import Path

import pytest

from exporter.identity.peer_id import read_peer_id
from fleet.configuration.load import Loaded, load_text
from fleet.configuration.swarm_checks import find_swarm_problems
from fleet.processes.files import configurations, make_folders
from fleet.processes.programs import plan_programs
from tests.fleet.rl_swarm.stand_in import CONTRACTS, make_checkout
from trainer.swarm.identity import ensure_identity

FLEET = """
fleet: s
state_dir: state
peers:
  - {name: one, kind: rl-swarm, folder: rl-swarm, identity: swarm.pem}
  - {name: two, kind: rl-swarm, folder: rl-swarm, model: Qwen/Qwen3-0.6B, memory_limit: 4GiB}
  - name: theirs
    kind: attached
    find: {folder: other, command: swarm_launcher}
    identity: other/swarm.pem
    contract: "0x1111111111111111111111111111111111111111"
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with two checkouts and the keys of two peers."""
    make_checkout(tmp_path / "rl-swarm", "0.6")
    make_checkout(tmp_path / "other", "0.7")
    ensure_identity(tmp_path / "swarm.pem")
    ensure_identity(tmp_path / "other" / "swarm.pem")
    return tmp_path


def load(base: Path, text: str = FLEET) -> Loaded:
    return load_text(text, "peerwatch.yaml", base)


def problems(base: Path, peer: str) -> list[str]:
    loaded = load(base, f"fleet: s\nstate_dir: state\npeers:\n  - {peer}\n")
    loaded.add(find_swarm_problems(loaded))
    return loaded.lines()


def test_the_watch_file_says_who_each_peer_is_in_its_swarm(base: Path) -> None:
    make_folders(load(base).folder, load(base).peers)
    loaded = load(base)
    assert loaded.lines() == []
    written = configurations(loaded.composition, loaded.folder)
    watches = {name: json.loads(written[f"sidecar:{name}"][1]) for name in ("one", "two", "theirs")}
    one, two, theirs = (watches[name]["swarm"] for name in ("one", "two", "theirs"))
    assert one.keys() == two.keys() == theirs.keys() == {"version", "peer_id", "name", "identity_path", "contract"}
    assert (one["version"], theirs["version"]) == ("0.6", "0.7")
    assert one["identity_path"] == f"{base}/swarm.pem"
    assert one["peer_id"] == read_peer_id(base / "swarm.pem")
    assert one["peer_id"] != two["peer_id"]
    assert one["name"].startswith("adjective")
    assert (one["contract"], theirs["contract"]) == (CONTRACTS["0.6"], "0x" + "1" * 40)
    assert watches["one"]["progress"] == [
        {"log": {"path": f"{base}/state/peers/one/rl-swarm/logs/swarm_launcher.log", "format": "rl_swarm"}}
    ]
    assert watches["one"]["pace"]["ceiling_seconds"] == 4 * 3600


def test_what_is_not_known_is_absent(base: Path) -> None:
    text = "fleet: s\nstate_dir: state\npeers: [{name: a, kind: attached, find: {folder: ., command: x}}]\n"
    assert load(base, text).composition.watches["a"]["swarm"] is None
    (base / "other" / "swarm.pem").chmod(0o600)
    (base / "other" / "swarm.pem").write_text("no key")
    swarm = load(base).composition.watches["theirs"]["swarm"]
    assert swarm.keys() == {"version", "identity_path", "contract"}
    other = load(base, text.replace("folder: .", "folder: rl-swarm"))
    assert other.composition.watches["a"]["swarm"] == {"version": "0.6"}


def test_each_instance_is_started_from_a_file_and_shares_one_login_server(base: Path) -> None:
    loaded = load(base)
    assert loaded.config is not None
    planned = plan_programs(loaded.config, loaded.peers, loaded.folder, "owner", base=base, platform="linux")
    commands = {one.title: " ".join(one.command).partition(" -- ")[2].split(" -m ")[1] for one in planned}
    assert list(commands) == [
        *("leaderboard", "alerts", "login", "peer:one", "sidecar:one", "peer:two", "sidecar:two", "sidecar:theirs"),
    ]
    assert commands["peer:one"] == f"fleet.processes.rl_swarm --start {base}/state/peers/one/rl-swarm.json"
    assert commands["login"].startswith(f"fleet.processes.login_server --checkout {base}/rl-swarm --port 3000 --store ")
    environment = next(one.environment for one in planned if one.title == "peer:two")
    assert environment["WANDB_MODE"] == "offline"
    assert {one.title for one in planned if one.memory_limit_bytes} == {"peer:two"}
    written = configurations(loaded.composition, loaded.folder)
    path, text = written["peer:two"]
    assert path == base / "state" / "peers" / "two" / "rl-swarm.json"
    assert json.loads(text) | {"store": "", "python": ""} == {
        "name": "two",
        "checkout": f"{base}/rl-swarm",
        "instance": f"{base}/state/peers/two/rl-swarm",
        "store": "",
        "identity": f"{base}/state/peers/two/identity.pem",
        "python": "",
        "account": None,
        "contract": CONTRACTS["0.6"],
        "config": f"{base}/rl-swarm/rgym_exp/config/rg-swarm.yaml",
        "model": "Qwen/Qwen3-0.6B",
        "game": "gsm8k",
        "login_port": 3000,
        "arguments": [],
        "environment": {},
        "spacing": 180.0,
    }


def test_checkouts_and_ports_have_a_server_each(base: Path) -> None:
    text = """
fleet: s
state_dir: state
peers:
  - {name: one, kind: rl-swarm, folder: rl-swarm}
  - {name: two, kind: rl-swarm, folder: other, login_port: 3001}
  - {name: three, kind: rl-swarm, folder: other, login_port: 3001}
"""
    loaded = load(base, text)
    assert loaded.config is not None
    planned = plan_programs(loaded.config, loaded.peers, loaded.folder, "owner", base=base)
    servers = [one for one in planned if one.group == "login"]
    assert [one.title for one in servers] == ["login", "login:3001"]
    assert len({one.log for one in servers}) == 2


@pytest.mark.parametrize(
    ("peer", "line"),
    [
        ("{name: a, kind: rl-swarm}", "peers[0].folder: missing"),
        ("{name: a, kind: rl-swarm, folder: .}", "is no rl-swarm of 0.4 to 0.7"),
        ("{name: a, kind: rl-swarm, folder: rl-swarm, contract: 0x12}", "peers[0].contract: "),
        ("{name: a, kind: rl-swarm, folder: rl-swarm, config: no.yaml}", "peers[0].config: no file"),
        ("{name: a, kind: rl-swarm, folder: rl-swarm, python: no/python}", "peers[0].python: no program"),
        ("{name: a, kind: rl-swarm, folder: rl-swarm, identity: peerwatch.yaml}", "rl-swarm makes a new identity"),
        ("{name: a, kind: rl-swarm, folder: rl-swarm, identity: rl-swarm/README.md}", "is not a libp2p"),
        ("{name: a, kind: rl-swarm, folder: rl-swarm, learning_rate: 1}", "peers[0].learning_rate: unknown key"),
        ("{name: a, kind: attached, find: {folder: other}, identity: other/README.md}", "is not a libp2p"),
    ],
)
def test_a_mistake_is_told_at_its_key(peer: str, line: str, base: Path) -> None:
    (found,) = problems(base, peer)
    assert line in found


def test_a_port_that_is_in_the_code_cannot_be_another(base: Path) -> None:
    make_checkout(base / "old", "0.4")
    (found,) = problems(base, "{name: a, kind: rl-swarm, folder: old, login_port: 3001}")
    assert "peers[0].login_port: rl-swarm 0.4 asks port 3000 in its code; leave it out" in found


def test_two_peers_of_one_identity_are_refused(base: Path) -> None:
    text = FLEET.replace("other/swarm.pem", "swarm.pem")
    loaded = load(base, text)
    loaded.add(find_swarm_problems(loaded))
    assert "peers[2].identity: is that of one too" in loaded.lines()[0]
