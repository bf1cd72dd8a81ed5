"""The state that the dashboards show is the one of the status page, as Prometheus evaluates it."""

import subprocess
from pathlib import Path

import pytest
import yaml

from alerts.engine.peer_state import peer_state
from exporter.metrics import STATES
from grafana.states import state, state_names
from tests.grafana.queries import fill_variables
from tests.programs import require

LABELS = 'fleet="a",peer="b"'


@pytest.mark.parametrize("phase", [*STATES, None])
@pytest.mark.parametrize("is_up", [True, False, None])
def test_the_state_is_that_of_the_status_page(tmp_path: Path, is_up: bool | None, phase: str | None) -> None:
    series = {f'trainer_state{{{LABELS},trainer_state="{name}"}}': str(int(name == phase)) for name in STATES if phase}
    if is_up is not None:
        series[f"trainer_up{{{LABELS}}}"] = str(int(is_up))
    numbers = {mapping.text: int(number) for number, mapping in state_names().options.items()}
    expected = peer_state(is_reachable=True, is_up=is_up, phase=phase)
    samples = [{"labels": f"{{{LABELS}}}", "value": numbers[expected]}] if expected != "unknown" else []
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": value} for name, value in (series or {"other": "1"}).items()],
        "promql_expr_test": [{"expr": fill_variables(state()), "eval_time": "0s", "exp_samples": samples}],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({"tests": [test]}))
    checked = subprocess.run([require("promtool"), "test", "rules", str(path)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
