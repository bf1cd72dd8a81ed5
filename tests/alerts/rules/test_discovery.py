"""What every rule of the folder has."""

import subprocess
from pathlib import Path

import pytest
import yaml

import alerts.rules
from alerts.reading import Reading
from alerts.rules import Rule, View, discover
from tests.programs import require

NAMES = sorted(discover())


def test_a_rule_is_named_after_its_file() -> None:
    files = [path.stem for path in Path(alerts.rules.__file__).parent.glob("*.py") if path.stem != "__init__"]
    assert sorted("".join(word.capitalize() for word in stem.split("_")) for stem in files) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_is_its_own_runbook(name: str) -> None:
    rule: Rule = discover()[name]
    assert rule.description.endswith(".")
    assert 40 < len(rule.remedy) < 600


@pytest.mark.parametrize("name", NAMES)
def test_a_page_without_a_single_sample_gives_no_verdict(name: str) -> None:
    rule = discover()[name]
    assert rule.judge(View("a", 1000.0, Reading()), rule.settings()).condition == "unknown"


@pytest.mark.parametrize("name", NAMES)
def test_its_prometheus_form_is_valid(name: str, tmp_path: Path) -> None:
    promtool = require("promtool")
    rule = discover()[name]
    expression = rule.promql % rule.settings().model_dump(mode="json") if "%" in rule.promql else rule.promql
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "peerwatch", "rules": [{"alert": name, "expr": expression}]}]}))
    result = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
