"""What a fleet writes of its machine, and what a stranger may send instead."""

import json
from pathlib import Path

import pytest

from exporter.machine.machine_file import MAX_PEERS, MachineDescription, parse_machine, read_machine

MACHINE = MachineDescription(
    "rack-1", {"amber": 9700, "basalt": 9701}, (Path("/srv/state"),), Path("/c.pem"), Path("/k.pem"), Path("/l")
)


def test_a_machine_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_bytes(MACHINE.render())
    assert read_machine(tmp_path / "machine.json") == MACHINE


def test_a_watcher_is_told_no_paths() -> None:
    assert parse_machine(MACHINE.render_for_watchers()) == MachineDescription(MACHINE.name, MACHINE.peers)
    assert b"/" not in MACHINE.render_for_watchers()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"[" * 100_000,
        b'{"machine": "a"}',
        b'{"machine": "a", "peers": []}',
        b'{"machine": "a", "peers": {}}',
        b'{"machine": "..", "peers": {"a": 1}}',
        b'{"machine": "../etc", "peers": {"a": 1}}',
        b'{"machine": "a", "peers": {"<b>": 1}}',
        b'{"machine": "a", "peers": {"a": 0}}',
        b'{"machine": "a", "peers": {"a": 65536}}',
        b'{"machine": "a", "peers": {"a": "9700"}}',
        b'{"machine": 1, "peers": {"a": 1}}',
        b'{"machine": "a", "peers": {"a": 1}, "disks": 5}',
        b'{"machine": "a", "peers": {"a": 1}, "key": 5}',
        json.dumps({"machine": "a", "peers": {f"p{n}": 1 for n in range(MAX_PEERS + 1)}}).encode(),
    ],
)
def test_anything_else_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$"):
        parse_machine(content)


def test_a_file_that_no_fleet_wrote_is_named(tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_text("{}")
    with pytest.raises(ValueError, match=r"machine\.json: not what a fleet writes"):
        read_machine(tmp_path / "machine.json")
