"""Every rule on what happens to peers: our own loop and Prometheus fire and resolve at the same minutes."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.export.prometheus import describe_rule
from alerts.rules import discover
from tests.alerts.rules.cases import CASES
from tests.alerts.rules.scenarios import Scenario, replay, split_sample
from tests.programs import require

NAMES = sorted(discover())
LABELS = {"instance": "127.0.0.1:9700", "job": "peerwatch", "peer": "a"}


@pytest.mark.parametrize("scenario", CASES, ids=lambda one: f"{one.rule}: {one.title}")
def test_our_own_loop_fires_when_it_must(scenario: Scenario) -> None:
    phases = dict(replay(scenario))
    fires = {minute for minute, phase in phases.items() if phase == "firing"}
    assert fires >= set(scenario.fires)
    assert not fires & set(scenario.quiet)


@pytest.mark.parametrize("name", NAMES)
def test_each_rule_has_a_case_for_all_that_it_must_do(name: str) -> None:
    cases = [case for case in CASES if case.rule == name]
    assert any(case.fires for case in cases)
    if discover()[name].is_problem:
        assert any(case.quiet and not case.fires for case in cases)
        assert any(case.fires and max(case.quiet, default=0) > max(case.fires) for case in cases), "no recovery"


@pytest.mark.parametrize("name", [name for name, rule in discover().items() if rule.promql is not None])
def test_prometheus_fires_when_it_must(name: str, tmp_path: Path) -> None:
    promtool = require("promtool")
    rule = discover()[name]
    cases = [case for case in CASES if case.rule == name]
    for number, case in enumerate(cases):
        described = describe_rule(name, rule, rule.settings.model_validate(case.settings))
        rules = tmp_path / f"rules-{number}.yaml"
        rules.write_text(yaml.safe_dump({"groups": [{"name": "peerwatch", "rules": [described]}]}))
        tests = tmp_path / f"tests-{number}.yaml"
        tests.write_text(yaml.safe_dump({"rule_files": [str(rules)], "tests": [_promtool_test(case)]}))
    files = [str(path) for path in sorted(tmp_path.glob("tests-*.yaml"))]
    result = subprocess.run([promtool, "test", "rules", *files], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def _promtool_test(scenario: Scenario) -> dict[str, Any]:
    firing = f'count(ALERTS{{alertname="{scenario.rule}",alertstate="firing"}})'
    expected = [(minute, [{"labels": "{}", "value": 1}]) for minute in scenario.fires]
    expected += [(minute, []) for minute in scenario.quiet]
    return {
        "name": scenario.title,
        "interval": "1m",
        "input_series": _input_series(scenario),
        "promql_expr_test": [
            {"expr": firing, "eval_time": f"{minute}m", "exp_samples": samples} for minute, samples in expected
        ],
    }


def _input_series(scenario: Scenario) -> list[dict[str, str]]:
    """The series of each sample; one that ends is marked stale, as a scrape marks it."""
    labels = LABELS if discover()[scenario.rule].scope == "peer" else {**LABELS, "peer": ""}
    found: dict[str, dict[int, str]] = {}
    for minute in range(scenario.minutes):
        page = scenario.page(minute, begin=0.0)
        for line in ["up 0"] if page is None else ["up 1", *page.splitlines()]:
            name, own, value = split_sample(line)
            text = ",".join(f'{label}="{content}"' for label, content in {**labels, **own}.items() if content)
            found.setdefault(f"{name}{{{text}}}", {})[minute] = f"{value:.17g}"
    return [
        {"series": name, "values": " ".join(values.get(minute, "stale") for minute in range(scenario.minutes))}
        for name, values in found.items()
    ]
