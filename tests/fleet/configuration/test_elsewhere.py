"""Machines to watch, and how this one is reached, as the file has them."""

from pathlib import Path

import pytest

from exporter.machine.push_file import read_push
from fleet.configuration.elsewhere import WatchedMachine
from fleet.configuration.load import load_text

OUTSIDE = "fleet: a\npeers: [{name: x}, {name: y}]\noutside: {machine: rack-1, certificate: c, key: k, login: l}\n"


@pytest.mark.parametrize(
    ("given", "url", "title"),
    [
        ("10.0.0.5", "http://10.0.0.5:9700", "10.0.0.5"),
        ("10.0.0.5:9710", "http://10.0.0.5:9710", "10.0.0.5"),
        ("https://10.0.0.5", "https://10.0.0.5:9800", "10.0.0.5"),
        ({"url": "https://[fd00::5]:1", "name": "rack-2"}, "https://[fd00::5]:1", "rack-2"),
    ],
)
def test_an_address_is_enough(given: object, url: str, title: str) -> None:
    machine = WatchedMachine.model_validate(given)
    assert (machine.url, machine.title) == (url, title)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("10.0.0.5:99999", "must be an http:// or https:// address"),
        ("{url: 'http://10.0.0.5', login: 'a:b'}", "login: would be sent unencrypted"),
        ("{name: rack-1}", "watch[0].url: missing"),
        ("{url: 10.0.0.5, adress: x}", "unknown key"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, entry: str, said: str) -> None:
    lines = load_text(f"fleet: a\npeers: []\nwatch:\n  - {entry}\n", "f", tmp_path).lines()
    assert len(lines) == 1
    assert said in lines[0]


def test_a_machine_tells_its_peers_at_the_ports_for_outside(tmp_path: Path) -> None:
    loaded = load_text(OUTSIDE, "f", tmp_path, tmp_path / "state")
    machine = loaded.composition.machine
    assert machine is not None
    assert (machine.name, machine.peers, machine.login) == ("rack-1", {"x": 9800, "y": 9801}, tmp_path / "l")


def test_a_machine_that_only_itself_reaches_tells_nothing(tmp_path: Path) -> None:
    assert load_text("fleet: a\n", "f", tmp_path).composition.machine is None
    open_one = load_text("fleet: a\nhost: 10.0.0.5\n", "f", tmp_path).composition.machine
    assert open_one is not None
    assert open_one.peers == {"a-0": 9700}


PUSH = "push: {watcher: 'https://watcher', machine: rack-3, login: l}\n"


def test_pages_are_pushed_from_loopback_and_the_machine_has_its_name(tmp_path: Path) -> None:
    loaded = load_text(f"fleet: a\npeers: [{{name: x}}, {{name: y}}]\n{PUSH}", "f", tmp_path, tmp_path / "state")
    push, machine = loaded.composition.push, loaded.composition.machine
    assert push is not None
    assert machine is not None
    assert (push.watcher, push.host, push.login) == ("https://watcher:8750", "127.0.0.1", tmp_path / "l")
    assert (push.peers, push.certificate) == ({"x": 9700, "y": 9701}, None)
    assert (machine.name, machine.peers, machine.certificate) == ("rack-3", {"x": 9700, "y": 9701}, None)
    path = tmp_path / "push.json"
    path.write_bytes(push.render())
    assert read_push(path) == push


def test_a_standby_gets_the_same_pages(tmp_path: Path) -> None:
    text = PUSH.replace("}", ", certificate: c, standby: {watcher: 'https://other:1', certificate: o}}")
    push = load_text(f"fleet: a\npeers: [{{name: x}}]\n{text}", "f", tmp_path, tmp_path / "state").composition.push
    assert push is not None
    assert [(one.watcher, one.certificate) for one in push.each()] == [
        ("https://watcher:8750", tmp_path / "c"),
        ("https://other:1", tmp_path / "o"),
    ]
    path = tmp_path / "push.json"
    path.write_bytes(push.render())
    assert read_push(path) == push
    twice = PUSH.replace("}", ", standby: {watcher: 'https://watcher:8750'}}")
    assert "is the watcher itself" in load_text(f"fleet: a\n{twice}", "f", tmp_path).lines()[0]


def test_without_peers_there_is_nothing_to_push(tmp_path: Path) -> None:
    assert load_text(f"fleet: a\npeers: []\n{PUSH}", "f", tmp_path).composition.push is None


@pytest.mark.parametrize(
    "url", ["http://watcher:8750", "https://watcher/page", "https://a:b@watcher", "watcher", "https://"]
)
def test_a_watcher_to_push_to_has_https_and_no_path(tmp_path: Path, url: str) -> None:
    (line,) = load_text(f"fleet: a\npush: {{watcher: '{url}', login: l}}\n", "f", tmp_path).lines()
    assert "push.watcher: must be" in line


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"watcher": 1}', b'{"certificate": null, "login": "l", "more": 1}', b"[" * 9999]
)
def test_a_file_that_no_fleet_wrote_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "push.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"^[^\n]*push\.json: not what a fleet writes: [^\n]*$"):
        read_push(tmp_path / "push.json")
