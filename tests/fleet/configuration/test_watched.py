"""Peers that are not our trainers, in the file and in what is made of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.commands.watch import without_restarts
from fleet.configuration.load import Loaded, load_text
from fleet.configuration.peers import services
from fleet.processes.files import configurations
from fleet.processes.programs import plan_programs

MIXED = """
fleet: m
peers:
  - name: ours
  - name: script
    kind: command
    command: python -u "my train.py" --lr 1e-6
    folder: runs/a
    environment: {WANDB_MODE: offline}
  - name: theirs
    kind: attached
    memory_limit: 4GiB
    find: {folder: ~/other, command: train\\.py, unit: train.service}
    progress:
      - log: {path: train.log}
      - checkpoints: {path: out}
    stall: {ceiling: 20m}
"""
ATTACHED_ONLY = """
fleet: m
peers:
  - {name: theirs, kind: attached, find: {pid_file: run.pid}}
"""


def load(text: str) -> Loaded:
    return load_text(text, "peerwatch.yaml", Path("/base"))


def programs(loaded: Loaded) -> dict[str, list[str]]:
    assert loaded.config is not None
    planned = plan_programs(loaded.config, loaded.peers, loaded.folder, "owner", base=loaded.base, platform="linux")
    return {one.title: list(one.command[one.command.index("--") + 1 :]) for one in planned}


def test_each_kind_has_the_programs_that_it_needs() -> None:
    loaded = load(MIXED)
    assert loaded.lines() == []
    found = programs(loaded)
    assert list(found) == [
        *("leaderboard", "alerts", "peer:ours", "sidecar:ours", "peer:script", "sidecar:script", "sidecar:theirs"),
    ]
    command = found["peer:script"]
    assert command[command.index("--folder") + 1] == "/base/runs/a"
    assert command[command.index("--") + 1 :] == ["python", "-u", "my train.py", "--lr", "1e-6"]
    assert "--watch" in found["sidecar:theirs"]
    assert "--watch" not in found["sidecar:ours"]


def test_the_sidecar_is_told_how_to_find_and_read_the_trainer() -> None:
    loaded = load(MIXED)
    assert loaded.config is not None
    watches = {
        title: json.loads(text)
        for title, (path, text) in configurations(loaded.composition, loaded.folder).items()
        if path.name == "watch.json"
    }
    theirs, script = watches["sidecar:theirs"], watches["sidecar:script"]
    home = str(Path("~/other").expanduser())
    assert theirs["find"] == {"folder": home, "command": "train\\.py", "unit": "train.service"}
    assert theirs["folder"] == home
    assert theirs["progress"] == [{"log": {"path": "train.log"}}, {"checkpoints": {"path": "out"}}]
    assert theirs["pace"] == {"floor_seconds": 10, "ceiling_seconds": 1200}
    assert script["folder"] == "/base/runs/a"
    assert script["progress"] == [{"log": {"path": str(loaded.folder.log("peer", "script"))}}]


def test_without_trainers_of_ours_there_is_no_leaderboard_and_no_swarm() -> None:
    loaded = load(ATTACHED_ONLY)
    assert loaded.lines() == []
    assert loaded.config is not None
    assert list(programs(loaded)) == ["alerts", "sidecar:theirs"]
    assert "--leaderboard-url" not in programs(loaded)["sidecar:theirs"]
    assert loaded.composition.alerts is not None
    assert loaded.composition.alerts.leaderboard_url is None
    assert [one.title for one in services(loaded.config, loaded.peers)] == ["status page", "sidecar of theirs"]


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        ("{kind: attached, find: {pid_file: a}}", "peers[0].name: missing"),
        ("{kind: attached, name: a}", "peers[0].find: missing"),
        ("{kind: attached, name: a, find: {}}", "nothing tells the trainer"),
        ("{kind: attached, name: a, find: {command: '('}}", "is no regular expression"),
        ("{kind: attached, name: a, find: {folder: b}, trainer_port: 1}", "trainer_port: unknown key"),
        ("{kind: command, name: a}", "peers[0].command: missing"),
        ("{kind: command, name: a, command: 'python \"x'}", "cannot be split into words"),
        ("{kind: command, name: a, command: []}", "peers[0].command: "),
        ("{kind: command, name: a, command: x, environment: {a-b: c}}", "'a-b' is no name of a variable"),
        ("{kind: command, name: a, command: x, progress: [{fax: {}}]}", "'fax' is no reader"),
        (
            "{kind: command, name: a, command: x, progress: [{log: {pth: y}}]}",
            "peers[0].progress[0].log: log: pth: unknown",
        ),
        ("{kind: command, name: a, command: x, progress: [{log: {}, jsonl: {}}]}", "each entry is one reader"),
        ("{kind: comand, name: a, command: x}", "peers[0].kind: "),
    ],
)
def test_what_does_not_fit_is_named_at_its_place(peer: str, said: str) -> None:
    lines = load(f"fleet: m\npeers:\n  - {peer}\n").lines()
    assert lines
    assert any(said in line for line in lines), lines
    assert all(line.startswith("peerwatch.yaml:3: peers[0]") for line in lines), lines


def test_no_rule_ends_a_trainer_that_nobody_would_start_again(lines_of: Callable[[str], list[str]]) -> None:
    rules = "alerts: {rules: {PeerStalled: {restart: true}}}\n"
    loaded = load(MIXED + rules)
    assert loaded.composition.alerts is not None
    assert {one.peer: one.restartable for one in loaded.composition.alerts.targets} == {
        "ours": True,
        "script": True,
        "theirs": False,
    }
    (line,) = lines_of(ATTACHED_ONLY + rules)
    assert line == (
        "peerwatch.yaml:5: warning: alerts.rules.PeerStalled.restart: does not restart theirs: "
        "an attached trainer is restarted by whoever started it"
    )
    assert lines_of(ATTACHED_ONLY) == []


def test_a_watched_command_of_the_foreground_is_not_restarted() -> None:
    given = {"rules": {"PeerStalled": {"restart": True, "for": "1m"}, "PeerDown": None}, "interval": "1s"}
    assert without_restarts(given) == {"rules": {"PeerStalled": {"for": "1m"}, "PeerDown": None}, "interval": "1s"}
    assert without_restarts({"rules": 7}) == {"rules": 7}
