"""The Alertmanager configuration: what the routes become, and that Alertmanager's own tool takes and routes it so."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.config import AlertsConfig
from alerts.export.alertmanager import render_alertmanager
from alerts.export.prometheus import render_rules
from tests.alerts.export.test_receivers import URLS
from tests.programs import require

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")

DOCS = Path(__file__).parents[3] / "docs" / "prometheus.md"
WATCHDOG = {"Watchdog": {"enabled": True}}
HOOK = "json://127.0.0.1:9999"


def _config(*routes: dict[str, Any], **settings: Any) -> AlertsConfig:
    named = [{"name": f"route {number}", "url": HOOK, **route} for number, route in enumerate(routes)]
    return AlertsConfig.model_validate({"fleet": "demo", "state_dir": "/state", "routes": named, **settings})


def _rendered(*routes: dict[str, Any], **settings: Any) -> Any:
    return yaml.safe_load(render_alertmanager(_config(*routes, **settings)))


def _amtool(path: Path, text: str, *arguments: str) -> str:
    path.write_text(text)
    result = subprocess.run([require("amtool"), *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_amtool_takes_a_configuration_with_everything(tmp_path: Path) -> None:
    routes: list[dict[str, Any]] = [{"url": url} for url in URLS.values()]
    routes += [
        {"name": 'a "quoted" name: #1', "quiet": {"from": "22:30", "to": "00:00"}},
        {"quiet": {"from": "09:00", "to": "17:00", "bypass": []}, "after": "90m", "severities": ["warning"]},
        {"watchdog": "5m"},
    ]
    settings = {"rules": WATCHDOG, "grouping": {"wait": "0s", "interval": "0s"}, "reminder": 0}
    path = tmp_path / "alertmanager.yaml"
    text = render_alertmanager(_config(*routes, timezone="Asia/Shanghai", **settings))
    assert f"{len(routes) + 1} receivers" in _amtool(path, text, "check-config", str(path))
    assert "--data.retention=8760h" in text


def test_amtool_takes_a_configuration_without_routes(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yaml"
    assert "1 receivers" in _amtool(path, render_alertmanager(_config()), "check-config", str(path))


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"alertname": "PeerDown", "severity": "critical"}, "all,severe,night,night-2"),
        ({"alertname": "RoundLag", "severity": "warning"}, "all,severe,night,night-2"),
        ({"alertname": "Other", "severity": "info"}, "all,night,night-2"),
        ({"alertname": "PeerDown", "severity": "critical", "escalation": "1800s"}, "boss"),
        ({"alertname": "Watchdog", "severity": "info"}, "dog"),
    ],
)
def test_an_alert_reaches_the_routes_that_the_loop_would_notify(
    labels: dict[str, str], receivers: str, tmp_path: Path
) -> None:
    config = _config(
        {"name": "all"},
        {"name": "severe", "severities": ["critical", "warning"]},
        {"name": "night", "quiet": {"from": "22:30", "to": "07:00"}},
        {"name": "night-2", "quiet": {"from": "22:30", "to": "07:00", "bypass": ["critical", "warning", "info"]}},
        {"name": "boss", "after": "30m"},
        {"name": "dog", "watchdog": "5m"},
        rules=WATCHDOG,
    )
    path = tmp_path / "alertmanager.yaml"
    pairs = [f"{name}={value}" for name, value in labels.items()]
    found = _amtool(path, render_alertmanager(config), "config", "routes", "test", f"--config.file={path}", *pairs)
    assert found.strip() == receivers


def test_grouping_and_reminders_are_the_users() -> None:
    route = _rendered({}, grouping={"wait": "5s", "interval": "1m"}, reminder="2h")["route"]
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("5s", "60s", "7200s")
    assert "alertname" not in route["group_by"]


def test_a_night_is_two_ranges_in_its_own_time_zone() -> None:
    night = {"from": "22:30", "to": "07:00", "timezone": "Europe/Berlin"}
    rendered = _rendered({"quiet": night}, timezone="Asia/Shanghai")
    interval = rendered["time_intervals"][0]
    assert interval["time_intervals"] == [
        {
            "times": [
                {"start_time": "22:30", "end_time": "24:00"},
                {"start_time": "00:00", "end_time": "07:00"},
            ],
            "location": "Europe/Berlin",
        }
    ]
    loud, quiet = rendered["route"]["routes"]
    assert 'severity=~"critical"' in loud["matchers"]
    assert "mute_time_intervals" not in loud
    assert quiet["mute_time_intervals"] == [interval["name"]]


def test_a_host_inhibits_its_own_peers_and_a_peer_only_itself() -> None:
    inhibitions = {one["source_matchers"][0]: one for one in _rendered()["inhibit_rules"]}
    assert "peer" not in inhibitions['alertname="HostMemoryPressure"']["equal"]
    assert "fleet" in inhibitions['alertname="HostMemoryPressure"']["equal"]
    assert "peer" in inhibitions['alertname="PeerDown"']["equal"]
    assert "SourceDown" in inhibitions['alertname="PeerDown"']["target_matchers"][0]


def test_what_escalates_has_second_alerts_in_the_rule_file() -> None:
    rules = yaml.safe_load(render_rules(_config(rules=WATCHDOG).rules, [1800.0, 1800.0]))["groups"][0]["rules"]
    second = [rule for rule in rules if rule["alert"] == "PeerDown" and "escalation" in rule["labels"]]
    assert [rule["for"] for rule in second] == ["1800s"]
    assert second[0]["labels"] == {"severity": "critical", "escalation": "1800s", "alertstate": ""}
    assert [rule["alert"] for rule in rules].count("Watchdog") == 1


def test_promtool_takes_the_manuals_prometheus_configuration(tmp_path: Path) -> None:
    rules, path = tmp_path / "rules.yml", tmp_path / "prometheus.yml"
    rules.write_text(render_rules(_config().rules))
    example = DOCS.read_text().partition("```yaml\n")[2].partition("```")[0]
    path.write_text(example.replace("/etc/prometheus/peerwatch-rules.yml", str(rules)))
    checked = subprocess.run(
        [require("promtool"), "check", "config", str(path)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "1 rule files found" in checked.stdout
