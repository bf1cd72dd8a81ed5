"""A Prometheus beside the fleet reaches the alert loop."""

from pathlib import Path

from alerts.config import AlertsConfig
from fleet.alert_loop.prometheus_access import prometheus_access


def test_a_prometheus_beside_the_fleet_sends_the_token(tmp_path: Path) -> None:
    settings = {"fleet": "a", "state_dir": tmp_path, "login": {"password": "x"}}
    token = tmp_path / "api.token"
    assert prometheus_access(AlertsConfig(fleet="a", state_dir=tmp_path), token) == {}
    assert prometheus_access(AlertsConfig.model_validate(settings), token) == {
        "authorization": {"credentials_file": str(token)}
    }
