"""The Prometheus configuration, in each form that fleets need, is valid."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.config import AlertsConfig
from alerts.export.prometheus import render_rules
from grafana.prometheus import RULES_FILE, configuration
from tests.programs import require

URL = "http://127.0.0.1:8750"
FORMS: dict[str, dict[str, Any]] = {
    "beside a fleet": {"interval_seconds": 15},
    "with half seconds": {"interval_seconds": 1.5},
    "in a container": {"interval_seconds": 15, "alertmanager": "alertmanager:9093", "host": "host.docker.internal"},
    "with a login": {"interval_seconds": 15, "access": {"authorization": {"credentials": "x"}}},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_configuration_is_valid(tmp_path: Path, form: dict[str, Any]) -> None:
    path = tmp_path / "prometheus.yaml"
    path.write_text(yaml.safe_dump(configuration(URL, **form)))
    rules = AlertsConfig.model_validate({"fleet": "a", "state_dir": "/state"}).rules
    (tmp_path / RULES_FILE).write_text(render_rules(rules))
    checked = subprocess.run([require("promtool"), "check", "config", str(path)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_sidecars_and_services_are_discovered_through_the_alert_loop() -> None:
    jobs = configuration(URL, interval_seconds=15)["scrape_configs"]
    assert {job["job_name"]: job["http_sd_configs"][0]["url"] for job in jobs} == {
        "peerwatch": f"{URL}/targets",
        "peerwatch-services": f"{URL}/targets/services",
    }
    assert not any("relabel_configs" in job for job in jobs)


def test_the_login_is_for_what_the_alert_loop_serves_and_no_sidecar_here() -> None:
    login = {"authorization": {"credentials": "x"}}
    jobs = configuration(URL, interval_seconds=15, access=login)["scrape_configs"]
    assert {job["job_name"]: (job.get("authorization"), *_selects(job)) for job in jobs} == {
        "peerwatch": (None, ("__meta_peerwatch_elsewhere", ".+", "drop")),
        "peerwatch-machines": (login["authorization"], ("__meta_peerwatch_elsewhere", ".+", "keep")),
        "peerwatch-services": (login["authorization"],),
    }


def _selects(job: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(*one["source_labels"], one["regex"], one["action"]) for one in job.get("relabel_configs", ())]


def test_in_a_container_loopback_becomes_the_host() -> None:
    for job in configuration(URL, interval_seconds=15, host="host.docker.internal")["scrape_configs"]:
        [rule] = job["relabel_configs"]
        assert rule["replacement"] == "host.docker.internal:$1"
        assert rule["regex"] == r"127\.0\.0\.1:(\d+)"


@pytest.mark.parametrize(("seconds", "interval", "timeout"), [(15, "15s", "10s"), (1.5, "1500ms", "1500ms")])
def test_a_scrape_times_out_before_the_next_one(seconds: float, interval: str, timeout: str) -> None:
    settings = configuration(URL, interval_seconds=seconds)["global"]
    assert (settings["scrape_interval"], settings["scrape_timeout"]) == (interval, timeout)
