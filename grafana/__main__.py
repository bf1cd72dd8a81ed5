"""`python -m grafana`: writes the dashboards and the provisioning anew; `--check` only tells what is out of date."""

import argparse
import json
import sys
from pathlib import Path

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from alerts.config import AlertsConfig
from alerts.export.alertmanager import render_alertmanager
from alerts.export.prometheus import render_rules
from grafana.dashboards import fleet, peer, swarm
from grafana.prometheus import DOCKER_HOST, RULES_FILE, configuration

HERE = Path(__file__).parent
PROVISIONING = HERE / "provisioning"
_HEAD = "# Made by `python -m grafana`, for a Prometheus in a container beside a fleet on the host.\n"
DASHBOARDS = {"fleet": fleet.build, "peer": peer.build, "swarm": swarm.build}


def generated() -> dict[Path, str]:
    """The text of every generated file, by its path."""
    dashboards = {HERE / "dashboards" / f"{name}.json": encode(build()) for name, build in DASHBOARDS.items()}
    prometheus = configuration(
        f"http://{DOCKER_HOST}:8750", interval_seconds=15, alertmanager="alertmanager:9093", host=DOCKER_HOST
    )
    alerts = AlertsConfig(fleet="peerwatch", state_dir=HERE)
    return dashboards | {
        PROVISIONING / "prometheus" / "prometheus.yaml": _HEAD + yaml.safe_dump(prometheus, sort_keys=False),
        PROVISIONING / "prometheus" / RULES_FILE: render_rules(alerts.rules),
        PROVISIONING / "alertmanager" / "alertmanager.yaml": render_alertmanager(alerts),
    }


def encode(dashboard: object) -> str:
    """The JSON that Grafana reads, in a form that differs only where the dashboard does."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def main() -> int:
    """Exit status 1 where `--check` finds a file that differs."""
    parser = argparse.ArgumentParser(prog="python -m grafana", description="Write dashboards and provisioning anew.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file would change")
    check = parser.parse_args().check
    status = 0
    for path, text in generated().items():
        if path.exists() and path.read_text() == text:
            continue
        print(f"{path.relative_to(HERE.parent)} {'is out of date; run python -m grafana' if check else 'written'}")
        if check:
            status = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
