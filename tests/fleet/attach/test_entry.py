"""A found trainer is added to the text of a configuration, whose other lines stay."""

from pathlib import Path
from typing import Any

import pytest

from exporter.attached_process import Criteria
from fleet.attach.candidates import Candidate
from fleet.attach.entry import EntryError, add_peers, choose_name, describe_peer, list_names, new_file
from fleet.attach.sources import ReaderChoice
from fleet.configuration.load import load_text

CANDIDATE = Candidate(
    kind="trl",
    title="trl: train.py in /home/u/night run",
    pid=4711,
    pids=(4711,),
    user="u",
    folder=Path("/home/u/night run"),
    criteria=Criteria(folder=Path("/home/u/night run"), command=r"(?:^|[ /])train\.py(?: |$)"),
    readers=(
        ReaderChoice("log", {"path": "/home/u/night run/a: #1.log", "format": "transformers"}),
        ReaderChoice("checkpoints", {"path": "/home/u/night run/out"}),
    ),
    notes=(),
)
PEER = describe_peer(CANDIDATE, "night-run")

BLOCK = """\
fleet: m   # ours
peers:
  # the first
  - name: a
    memory_limit: 4GiB   # enough

# what it says
alerts:
  routes: []
"""


def loaded_peers(text: str) -> list[Any]:
    loaded = load_text(text, "peerwatch.yaml", Path("/base"))
    assert loaded.lines() == []
    assert loaded.config is not None
    assert isinstance(loaded.config.peers, list)
    return loaded.config.peers


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (BLOCK, ["a"]),
        (BLOCK.replace("  - ", "- ").replace("    memory", "  memory").replace("  # the", "# the"), ["a"]),
        ("fleet: m\npeers:\n- {name: a}\n- name: b", ["a", "b"]),
        ("fleet: m\npeers: 2   # two\nmemory_limit: 4GiB\n", ["m-0", "m-1"]),
        ("fleet: m\n", ["m-0"]),
        (new_file("my machine!"), []),
    ],
)
def test_the_peer_is_added_and_every_other_line_stays(text: str, names: list[str]) -> None:
    more = add_peers(text, [PEER], names)
    peers = loaded_peers(more)
    assert [peer.name for peer in peers] == [*names, "night-run"]
    assert peers[-1].find.folder == Path("/home/u/night run")
    assert peers[-1].progress == [
        {"log": {"path": "/home/u/night run/a: #1.log", "format": "transformers"}},
        {"checkpoints": {"path": "/home/u/night run/out"}},
    ]
    kept = [line for line in text.splitlines() if line.strip() and not line.startswith("peers:")]
    assert [line for line in kept if line not in more.splitlines()] == []
    again = add_peers(more, [describe_peer(CANDIDATE, "again")], [*names, "night-run"])
    assert list_names(again)[-1] == "again"
    assert "&" not in again
    assert loaded_peers(again)[-1].name == "again"


def test_a_list_on_one_line_is_left_to_its_owner() -> None:
    with pytest.raises(EntryError, match="add this by hand:\n  - name: night-run"):
        add_peers("fleet: m\npeers: [{name: a}]\n", [PEER], ["a"])


def test_names_come_from_the_folder_and_are_free() -> None:
    assert choose_name(CANDIDATE, []) == "night-run"
    assert choose_name(CANDIDATE, ["Night-Run", "night-run-2"]) == "night-run-3"


def test_what_nothing_tells_is_not_added() -> None:
    with pytest.raises(EntryError, match="nothing in its command line"):
        describe_peer(Candidate(**{**vars(CANDIDATE), "criteria": None}), "a")
