"""A contract in the environment of a running trainer is read once it is attached; a chain that is down is said."""

import logging
from pathlib import Path

import pytest
import yaml

from exporter.leaderboard.changes import Changes
from exporter.leaderboard.standings import Standings
from fleet.attach.entry import add_peers, describe_peer, new_file
from fleet.configuration.load import Loaded, load_text
from tests.exporter.identity.test_own_peer import write_key
from tests.fakes import reserve_ports
from tests.fleet.attach.test_candidates import find_one
from tests.fleet.attach.trees import process

CONTRACT = "0x7745a8FE4b8D2D2c3BB103F8dCae822746F35Da0"
COMMAND = "python -m code_gen_exp.runner.swarm_launcher --config-name code-gen-swarm.yaml"
NOW = 1_790_000_000.0


def attach(folder: Path, *, rpc: str = "", contract: str = CONTRACT) -> Loaded:
    """The configuration to which `attach` has added a trainer that runs in this folder."""
    environment = {"IDENTITY_PATH": "swarm.pem", "SWARM_CONTRACT": contract}
    log = {str(folder / "logs" / "swarm_launcher.log"): "[x][INFO] - Starting round: 7/9."}
    candidate = find_one(process(320, 1, COMMAND, folder=folder, environment=environment), files=log)
    text = add_peers(new_file("m"), [describe_peer(candidate, "one")], [])
    if rpc:
        text += yaml.safe_dump({"sources": [{"kind": "chain", "rpc": [rpc]}]})
    loaded = load_text(text, "peerwatch.yaml", folder, folder / "state")
    assert loaded.lines() == []
    return loaded


def test_the_contract_of_its_environment_is_a_source(tmp_path: Path) -> None:
    board = attach(tmp_path).composition.leaderboard
    assert board is not None
    assert board.sources == [{"kind": "chain", "contracts": [CONTRACT]}]
    assert str(board.identities["one"]) == str(tmp_path / "swarm.pem")


def test_what_is_no_contract_is_no_source(tmp_path: Path) -> None:
    assert attach(tmp_path, contract="$(curl evil)").composition.leaderboard is None


def test_a_chain_that_does_not_answer_is_one_line_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (port,) = reserve_ports(1)
    peer_id = write_key(tmp_path / "swarm.pem", "one")
    board = attach(tmp_path, rpc=f"http://127.0.0.1:{port}/secret-key").composition.leaderboard
    assert board is not None
    standings = Standings(board.make_sources(), Changes(tmp_path / "changes.json"), [peer_id])
    with caplog.at_level(logging.INFO):
        for minute in range(5):
            standings.read("chain", NOW + 60 * minute)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"source chain: http://127.0.0.1:{port}")
    assert "secret-key" not in line
    (source,) = standings.page(peer_id, NOW + 300)["sources"]
    assert (source["up"], source["standings"]) == (False, [])
