"""Adding a rule, a collector or a doctor check is adding one file: each is found everywhere by being there.

The files are written into a copy of the source, and real processes run from it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.architecture import PACKAGES, ROOT
from tests.fakes import LOOPBACK, reserve_ports, wait_for

RULE = '''"""The peer was thrown away.

What to do: throw it further.
"""

from alerts.rules import Rule, RuleSettings, Verdict, View, active


def judge(view: View, settings: RuleSettings) -> Verdict:
    return active("Thrown away.")


RULE = Rule(settings=RuleSettings, judge=judge, doc=__doc__ or "", promql="trainer_up == 2")
'''

COLLECTOR = '''"""Nothing that is worth reading."""

from typing import Self

from exporter.config import SidecarConfig
from exporter.metrics import Sample


class Collector:
    @classmethod
    def configured(cls, config: SidecarConfig) -> Self:
        return cls()

    def collect(self, now: float) -> list[Sample]:
        return [Sample("trainer_threads", {}, 7.0)]
'''

CHECK = '''"""Nothing that breaks peers."""

from collections.abc import Iterator

from fleet.doctor.findings import Finding, warning
from fleet.doctor.site import Site


def examine(site: Site) -> Iterator[Finding]:
    yield warning("thrown away", "throw it further")
'''


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with one more rule, collector and check."""
    copy = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "docs", copy / "docs", ignore=shutil.ignore_patterns("*.png"))
    (copy / "alerts" / "rules" / "thrown_away.py").write_text(RULE)
    (copy / "exporter" / "collectors" / "thrown_away.py").write_text(COLLECTOR)
    (copy / "fleet" / "doctor" / "checks" / "thrown_away.py").write_text(CHECK)
    return copy


def _environment(source: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}


def _run(source: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(
        command, cwd=source, env=_environment(source), capture_output=True, text=True, timeout=240, check=False
    )
    assert not done.stderr, done.stderr
    return done.stdout


@contextmanager
def _running(source: Path, *arguments: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=source, env=_environment(source))
    try:
        yield
    finally:
        process.terminate()
        process.wait(180)


def _get(address: str, accept: str = "*/*") -> str:
    try:
        with urlopen(Request(address, headers={"Accept": accept}), timeout=60) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return ""


@pytest.fixture(scope="module")
def configuration(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet of one peer, and what only a rule that is known may be given."""
    file = tmp_path_factory.mktemp("fleet") / "peerwatch.yaml"
    board, alerts, trainer, sidecar = reserve_ports(4)
    content = {
        "fleet": "attic",
        "state_dir": str(file.parent / "state"),
        "peers": 1,
        "ports": {"leaderboard": board, "alerts": alerts, "trainer": trainer, "sidecar": sidecar},
        "trainer": {"model": "tiny", "device": "cpu"},
        "alerts": {"rules": {"ThrownAway": {"severity": "info"}}},
    }
    file.write_text(yaml.safe_dump(content))
    return file


def test_a_rule_is_configured_and_given_to_prometheus(source: Path, configuration: Path) -> None:
    assert "OK" in _run(source, "fleet", "check", "-f", str(configuration))
    groups = yaml.safe_load(_run(source, "fleet", "rules", "prometheus", "-f", str(configuration)))["groups"]
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    assert rules["ThrownAway"]["labels"]["severity"] == "info"
    assert "throw it further" in str(rules["ThrownAway"]["annotations"])


def test_a_rule_is_in_the_table_of_the_manual(source: Path) -> None:
    _run(source, "alerts.export.rule_table")
    manual = (source / "docs" / "alerts.md").read_text().splitlines()
    assert any(line.startswith("| ThrownAway | peer | critical | ") and "was thrown away" in line for line in manual)


def test_a_rule_fires_on_the_page_and_in_the_terminal(source: Path, configuration: Path, tmp_path: Path) -> None:
    port = yaml.safe_load(configuration.read_text())["ports"]["alerts"]
    settings = {
        "fleet": "attic",
        "state_dir": str(configuration.parent / "state" / "alerts"),
        "listen": f"{LOOPBACK}:{port}",
        "interval": "1s",
        "targets": [{"peer": "attic-0", "url": f"http://{LOOPBACK}:{reserve_ports(1)[0]}/metrics"}],
    }
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(settings))
    with _running(source, "alerts", "--config", str(tmp_path / "alerts.yaml")):
        address = f"http://{LOOPBACK}:{port}"
        wait_for(lambda: "ThrownAway" in _get(f"{address}/api/alerts"), 120, "the rule fires")
        assert "ThrownAway" in _get(f"{address}/", accept="text/html")
        assert 'alerts_firing{rule="ThrownAway"' in _get(f"{address}/metrics")
        assert "ThrownAway" in _run(source, "fleet", "alerts", "list", "-f", str(configuration))


def test_a_collector_is_on_the_page_of_the_sidecar(source: Path, tmp_path: Path) -> None:
    address = f"{LOOPBACK}:{reserve_ports(1)[0]}"
    with _running(source, "exporter", "--run-dir", str(tmp_path), "--listen", address):
        page = wait_for(lambda: _get(f"http://{address}/metrics"), 60, "the sidecar answers")
    assert 'sidecar_collector_success{collector="thrown_away"} 1.0' in page
    assert "\ntrainer_threads 7.0\n" in page


def test_a_check_is_made_by_the_doctor(source: Path, configuration: Path) -> None:
    options = ("-f", str(configuration), "--time-server", f"{LOOPBACK}:9")
    findings = json.loads(_run(source, "fleet", "doctor", "--json", *options))["findings"]
    found = [finding for finding in findings if finding["check"] == "thrown_away"]
    assert [(finding["level"], finding["message"]) for finding in found] == [("warning", "thrown away")]
    assert "| thrown_away | Nothing that breaks peers |" in _run(source, "fleet", "doctor", "--list")
