"""The Prometheus rule file: what is filled in, and that Prometheus' own tool takes it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.config import AlertsConfig
from alerts.export.prometheus import describe_rule, promql_duration, render_rules
from alerts.rules import Rule, discover
from tests.programs import require

DOCS = Path(__file__).parents[3] / "docs" / "alerts.md"


def _config(**rules: Any) -> AlertsConfig:
    return AlertsConfig.model_validate({"fleet": "demo", "state_dir": "/state", "rules": rules})


def _rendered(**rules: Any) -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(render_rules(_config(**rules).rules))["groups"]
    return {rule["alert"]: rule for rule in groups[0]["rules"]}


def test_thresholds_durations_and_severity_are_the_users() -> None:
    crash_loop = {"restarts": 7, "window": "14d", "for": "1m", "recover_after": "1.5s", "severity": "info"}
    rule = _rendered(CrashLoop=crash_loop)["CrashLoop"]
    assert "changes(trainer_start_timestamp_seconds[1209600s]) >= 7" in rule["expr"]
    assert (rule["for"], rule["keep_firing_for"], rule["labels"]) == (
        "60s",
        "1500ms",
        {"severity": "info", "alertstate": ""},
    )
    assert rule["annotations"]["summary"].startswith("CrashLoop: {{ with $labels.peer }}")
    assert rule["annotations"]["runbook"].startswith("What to do: read trainer.log")


def test_a_rule_that_is_switched_off_is_left_out() -> None:
    assert "Watchdog" not in _rendered()
    assert "Watchdog" in _rendered(Watchdog={"enabled": True})
    assert "PeerDown" not in _rendered(PeerDown={"enabled": False})


@pytest.mark.parametrize(("seconds", "text"), [(60, "60s"), (0.25, "250ms"), (1209600, "1209600s")])
def test_a_duration_is_written_in_whole_units(seconds: float, text: str) -> None:
    assert promql_duration(seconds) == text


def test_promtool_takes_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(render_rules(_config(Watchdog={"enabled": True}).rules))
    result = subprocess.run(
        [require("promtool"), "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert f"{len(discover())} rules found" in result.stdout


@pytest.mark.parametrize("name", sorted(discover()))
def test_the_manual_tells_of_each_rule_and_where_prometheus_judges_otherwise(name: str) -> None:
    rule: Rule = discover()[name]
    text = " ".join(DOCS.read_text().split())
    assert f"| {name} | {rule.settings().severity} |" in text
    assert not rule.differs or f"| {name} | {rule.differs} |" in text


def test_no_text_is_taken_for_a_template() -> None:
    for name, rule in discover().items():
        annotations = describe_rule(name, rule, rule.settings())["annotations"]
        assert "{{" not in annotations["description"] + annotations["runbook"]
