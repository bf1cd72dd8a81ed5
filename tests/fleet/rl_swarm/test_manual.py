"""docs/rl-swarm.md names every key of such a peer, and its examples are configurations."""

import re
from pathlib import Path

import pytest

from fleet.configuration.load import load_text
from fleet.configuration.watched import RlSwarmPeer, WatchedPeer
from tests.architecture import ROOT

MANUAL = (ROOT / "docs" / "rl-swarm.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_configuration(example: str, tmp_path: Path) -> None:
    assert load_text(f"fleet: s\n{example}", "peerwatch.yaml", tmp_path).lines() == []


def test_every_key_stands_in_the_table_with_its_default() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", MANUAL, re.MULTILINE))
    own = (RlSwarmPeer.model_fields.keys() - WatchedPeer.model_fields.keys() - {"kind"}) | {"identity", "contract"}
    assert table.keys() == own
    assert table["login_port"].strip() == str(RlSwarmPeer.model_fields["login_port"].default)
    assert table["spacing"].strip() == f"{RlSwarmPeer.model_fields['spacing'].default / 60:g}m"
