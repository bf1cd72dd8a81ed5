"""Where rank and reward are read is said once in the file, or follows from a peer's contract."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.leaderboard.config import load as load_leaderboard
from fleet.configuration.load import Loaded, load_text
from fleet.configuration.peers import services
from fleet.processes.files import configurations
from fleet.processes.programs import plan_programs

ADDRESS = "/ip4/10.0.0.7/tcp/38331/p2p/Qm" + "a" * 44
FOX = "{name: fox, kind: attached, find: {folder: /run/fox}, identity: swarm.pem, contract: 0.6-prg}"
OWL = "{name: owl, kind: attached, find: {folder: /run/owl}, identity: /keys/owl.pem}"
PLAIN = "{name: plain, kind: command, command: python train.py}"


def load(*peers: str, more: str = "") -> Loaded:
    listed = "".join(f"  - {one}\n" for one in peers)
    return load_text(f"fleet: m\npeers:\n{listed}{more}\n", "peerwatch.yaml", Path("/base"))


def lines(*peers: str, more: str = "") -> list[str]:
    return [line.partition(": ")[2] for line in load(*peers, more=more).lines()]


def programs(loaded: Loaded) -> dict[str, list[str]]:
    assert loaded.config is not None
    planned = plan_programs(loaded.config, loaded.peers, loaded.folder, "owner", base=loaded.base, platform="linux")
    return {one.title: list(one.command[one.command.index("--") + 1 :]) for one in planned}


def files(loaded: Loaded) -> dict[str, str]:
    return {title: text for title, (_, text) in configurations(loaded.composition, loaded.folder).items()}


def sources(loaded: Loaded) -> list[dict[str, Any]]:
    assert loaded.composition.leaderboard is not None
    return loaded.composition.leaderboard.sources


def test_a_fleet_without_sources_starts_no_process_for_them() -> None:
    loaded = load("{name: owl, kind: attached, find: {folder: /run/owl}, identity: swarm.pem}", PLAIN)
    assert loaded.lines() == []
    found = programs(loaded)
    assert list(found) == ["alerts", "sidecar:owl", "peer:plain", "sidecar:plain"]
    assert "--sources-url" not in found["sidecar:owl"]
    assert loaded.composition.leaderboard is None


def test_a_peers_contract_is_a_source_that_is_read_once_for_all() -> None:
    loaded = load(FOX, OWL, PLAIN)
    assert loaded.lines() == []
    found = programs(loaded)
    assert next(iter(found)) == "leaderboard"
    assert "--wait-for" not in found["leaderboard"]
    for title in ("sidecar:fox", "sidecar:owl"):
        assert found[title][found[title].index("--sources-url") + 1] == "http://127.0.0.1:8700"
        assert "--leaderboard-url" not in found[title]
    assert sources(loaded) == [{"kind": "chain", "contracts": ["0.6-prg"]}]
    watch = json.loads(files(loaded)["sidecar:fox"])
    assert watch["swarm"] == {"identity_path": "/base/swarm.pem", "contract": "0.6-prg"}
    assert "swarm" not in json.loads(files(loaded)["sidecar:plain"])
    assert loaded.config is not None
    assert "leaderboard" in [one.title for one in services(loaded.config, loaded.peers)]


def test_the_leaderboards_process_reads_what_the_fleet_writes(tmp_path: Path) -> None:
    loaded = load(
        FOX, OWL, more="sources:\n  - {kind: dashboard}\n  - {kind: chain, rpc: [http://a/key, http://b/key]}"
    )
    path = tmp_path / "leaderboard.yaml"
    path.write_text(files(loaded)["leaderboard"])
    config = load_leaderboard(path)
    assert list(config.make_sources()) == ["dashboard", "chain"]
    assert {name: str(file) for name, file in config.identities.items()} == {
        "fox": "/base/swarm.pem",
        "owl": "/keys/owl.pem",
    }
    assert [str(folder) for folder in config.checkouts] == ["/run/fox", "/run/owl"]
    assert not config.initial_peers


def test_a_chain_that_names_no_contract_has_those_of_the_peers() -> None:
    # Without quotes it is a number in YAML.
    other = FOX.replace("fox", "elk").replace("0.6-prg", "0x01D7C5e93f28257429569B854151A1B8DCD404c2")
    loaded = load(FOX, other, FOX.replace("fox", "bat"), more="sources: [{kind: chain, interval_seconds: 300}]")
    assert loaded.lines() == []
    assert sources(loaded) == [
        {
            "kind": "chain",
            "interval_seconds": 300,
            "contracts": ["0.6-prg", "0x01d7c5e93f28257429569b854151a1b8dcd404c2"],
        }
    ]
    assert sources(load(FOX.replace("0.6-prg", "0.7"))) == [{"kind": "chain", "contracts": ["0.7"]}]
    given = "sources: [{kind: chain, contracts: [0.5, 0xFaD7C5e93f28257429569B854151A1B8DCD404c3]}]"
    assert load(FOX, more=given).lines() == []
    assert sources(load(FOX, more="sources: [{kind: chain, version: 0.4}]")) == [{"kind": "chain", "version": 0.4}]


def test_the_dht_of_another_swarm_is_kept_as_the_board() -> None:
    loaded = load(OWL, PLAIN, more=f"sources: [{{kind: dht, initial_peers: [{ADDRESS}]}}]")
    assert loaded.lines() == []
    assert loaded.composition.leaderboard is not None
    assert loaded.composition.leaderboard.initial_peers == [ADDRESS]
    assert loaded.composition.leaderboard.sources == []
    assert loaded.composition.alerts is not None
    assert loaded.composition.alerts.leaderboard_url == "http://127.0.0.1:8700"
    assert "--leaderboard-url" in programs(loaded)["sidecar:owl"]
    assert load(FOX).composition.alerts.leaderboard_url is None  # type: ignore[union-attr]


def test_the_records_of_another_swarm_are_not_expected_to_be_signed() -> None:
    dht = f"sources: [{{kind: dht, initial_peers: [{ADDRESS}]}}]"
    leader = f"leaders: [{ADDRESS.rpartition('/')[2]}]"
    for more, is_signed in ((dht, False), (f"{dht}\nswarm: {{signed: true, {leader}}}", True)):
        board = load(OWL, more=more).composition.leaderboard
        assert board is not None
        assert (board.signed, board.members) == (is_signed, [])
    ours = load("{name: ours}").composition.leaderboard
    assert ours is not None
    assert ours.signed


def test_a_dht_without_addresses_is_joined_by_those_that_the_contract_tells(tmp_path: Path) -> None:
    loaded = load(FOX.replace("0.6-prg", "0.4-math"), more="sources: [{kind: dht}]")
    assert loaded.lines() == []
    board = loaded.composition.leaderboard
    assert board is not None
    assert (board.initial_peers, board.bootnodes) == ([], {"contracts": ["0.4-math"]})
    assert "--leaderboard-url" in programs(loaded)["sidecar:fox"]
    path = tmp_path / "leaderboard.yaml"
    path.write_text(files(loaded)["leaderboard"])
    assert load_leaderboard(path).keeps_board
    given = "sources: [{kind: dht}, {kind: chain, version: 0.4, rpc: [http://a/key]}]"
    board = load(OWL, more=given).composition.leaderboard
    assert board is not None
    assert board.bootnodes == {"version": 0.4, "rpc": ["http://a/key"]}
    # Those of the file come first, and nobody is asked.
    board = load(FOX, more=f"sources: [{{kind: dht, initial_peers: [{ADDRESS}]}}]").composition.leaderboard
    assert board is not None
    assert board.bootnodes is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("sources: [{kind: fax}]", "sources[0].kind: 'fax' is no source; the sources are chain, dashboard, dht, "),
        ("sources: [{url: x}]", "sources[0].kind: missing"),
        ("sources: [{kind: chain, version: 9}]", "sources[0].version: '9' is no release whose contract is known"),
        ("sources: [{kind: chain, version: 0.7, interval_seconds: 5}]", "sources[0].interval_seconds: '5' is not a"),
        ("sources: [{kind: chain, version: 0.7, speed: 5}]", "sources[0].speed: unknown option; the options are"),
        ("sources: [{kind: chain}]", "sources[0]: version: is missing; name that of rl-swarm, such as 0.6.4, or"),
        ("sources: [{kind: dashboard}, {kind: http_leaderboard}]", "sources[1]: url: is missing"),
        ("sources: [{kind: dht}]", "sources[0]: initial_peers: is missing; list addresses of the swarm's peers"),
        ("sources: [{kind: dht, initial_peers: [x]}]", "sources[0].initial_peers[0]: 'x' is not a multiaddr"),
        (f"sources: [{{kind: dht, initial_peers: [{ADDRESS}], a: 1}}]", "sources[0].a: unknown option"),
    ],
)
def test_a_mistake_is_named_at_its_place(more: str, said: str) -> None:
    (line,) = lines(OWL, more=more)
    assert line.startswith(said)


def test_sources_that_nobody_is_read_from_are_a_warning() -> None:
    (line,) = lines(PLAIN, "{name: ours}", more="sources: [{kind: dashboard}]")
    assert line.startswith("warning: sources: no peer says who it is in a swarm")
    assert load(PLAIN, more="sources: [{kind: dashboard}]").is_usable


def test_one_board_is_kept_and_not_two() -> None:
    dht = f"{{kind: dht, initial_peers: [{ADDRESS}]}}"
    (line,) = lines(OWL, more=f"sources: [{dht}, {dht}]")
    assert line.startswith("sources[1]: a fleet keeps one board")
    (line,) = lines(OWL, "{name: ours}", more=f"sources: [{dht}]")
    assert line.startswith("sources[0]: the board is that of this fleet's own swarm")


def test_a_contract_that_is_none_is_a_mistake_of_its_peer() -> None:
    (line,) = lines(FOX.replace("0.6-prg", "prg"))
    assert line.startswith("peers[0].contract: 'prg' is neither an address nor one of 0.3, ")
