"""docs/sources.md: its example is a valid file, and each source stands there with its options."""

import re
from importlib import import_module
from pathlib import Path

from exporter.chain.coordinator import CONTRACTS
from exporter.sources import list_sources
from fleet.configuration.load import load_text
from tests.architecture import ROOT

MANUAL = (ROOT / "docs" / "sources.md").read_text()


def test_the_example_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)
    loaded = load_text(f"fleet: a\n{example}", "peerwatch.yaml", tmp_path)
    assert loaded.lines() == []
    assert loaded.composition.leaderboard is not None
    assert [one["kind"] for one in loaded.composition.leaderboard.sources] == ["chain", "dashboard"]


def test_each_source_stands_there_with_its_options() -> None:
    rows = {cells[1].strip("` "): cells[2] for line in MANUAL.splitlines() if len(cells := line.split("|")) == 5}
    for name in list_sources():
        options = import_module(f"exporter.sources.{name}").Source.OPTIONS
        assert set(re.findall(r"`(\w+)`", rows[name])) == set(options)
    assert "dht" in rows


def test_each_contract_stands_there() -> None:
    assert all(f"`{name}`" in MANUAL for name in CONTRACTS)
