"""The Prometheus rule file: what is filled in, and that Prometheus' own tool takes it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.config import AlertsConfig
from alerts.export.prometheus import describe_rule, promql_duration, render_rules
from alerts.rules import discover
from tests.programs import require


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
    assert rule["annotations"]["runbook"].startswith("What to do: read the trainer's log")


def test_a_rule_that_is_switched_off_is_left_out() -> None:
    assert "Watchdog" not in _rendered()
    assert "Watchdog" in _rendered(Watchdog={"enabled": True})
    assert "PeerDown" not in _rendered(PeerDown={"enabled": False})


@pytest.mark.parametrize(("seconds", "text"), [(60, "60s"), (0.25, "250ms"), (1209600, "1209600s")])
def test_a_duration_is_written_in_whole_units(seconds: float, text: str) -> None:
    assert promql_duration(seconds) == text


ALL_ON = {name: {"enabled": True} for name, rule in discover().items() if not rule.settings().enabled}


def test_promtool_takes_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(render_rules(_config(**ALL_ON).rules))
    result = subprocess.run(
        [require("promtool"), "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert f"{len(discover())} rules found" in result.stdout


LEARNED = [name for name, rule in discover().items() if rule.promql is None]


@pytest.mark.parametrize("name", LEARNED)
def test_a_rule_that_learns_fires_as_the_alert_loop_says_and_no_later(name: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(render_rules(_config(**ALL_ON).rules))
    own = 'instance="127.0.0.1:8750",job="peerwatch-services",fleet="demo",service="alerts"'
    firing = f'alerts_firing{{{own},rule="{name}",severity="warning"}}'
    alert = f'ALERTS{{alertname="{name}",alertstate="firing",fleet="demo"}}'
    # For five minutes each: nothing, two peers, a loop that cannot be scraped, nothing.
    series = {
        f"up{{{own}}}": "1x9 0x4 1x5",
        firing: "_x5 2x4 stale _x9",
        firing.replace(name, "Other"): "3x20",
    }
    expected = [(4, 0), (5, 1), (9, 1), (11, 1), (14, 1), (15, 0)]
    test = {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f"count({alert})",
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": 1}] * fires,
            }
            for minute, fires in expected
        ],
    }
    path = tmp_path / "tests.yaml"
    path.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    result = subprocess.run(
        [require("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_rule_that_learns_says_where_its_peers_are_named() -> None:
    rule = _rendered(StepRateDegraded={"severity": "info"})["StepRateDegraded"]
    assert "see the status page for which peer" in rule["annotations"]["summary"]
    assert rule["labels"]["severity"] == "info"
    assert not {"for", "keep_firing_for"} & rule.keys()


def test_no_text_is_taken_for_a_template() -> None:
    for name, rule in discover().items():
        annotations = describe_rule(name, rule, rule.settings())["annotations"]
        assert "{{" not in annotations["description"] + annotations["runbook"]
