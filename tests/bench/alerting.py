"""What the alert loop's benchmarks start: many sidecars in one process, and Prometheus with Alertmanager."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from tests.fakes import LOOPBACK, reserve_ports, wait_for
from tests.programs import require

ROOT = Path(__file__).parents[2]

STALLED = """
time() - (
  trainer_last_step_timestamp_seconds > trainer_phase_start_timestamp_seconds
  or trainer_phase_start_timestamp_seconds
) > trainer_stall_after_seconds
and trainer_up == 1
"""


class Sidecars:
    """A process that serves the pages of `count` healthy peers, each on a port of its own."""

    def __init__(self, stack: contextlib.ExitStack, count: int) -> None:
        command = [sys.executable, str(Path(__file__).with_name("many_sidecars.py")), str(count)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        stack.callback(_end, process)
        assert process.stdout is not None
        self.ports: list[int] = json.loads(process.stdout.readline())


class Rival:
    """Prometheus and Alertmanager over the same sidecars, notifying a webhook without waiting for a group."""

    def __init__(
        self, stack: contextlib.ExitStack, folder: Path, ports: list[int], webhook: str, interval: str
    ) -> None:
        folder.mkdir()
        prometheus, alertmanager = require("prometheus"), require("prometheus-alertmanager")
        own, other = reserve_ports(2)
        (folder / "rules.yml").write_text(
            yaml.safe_dump({"groups": [{"name": "peers", "rules": [{"alert": "PeerStalled", "expr": STALLED}]}]})
        )
        (folder / "prometheus.yml").write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": interval, "evaluation_interval": interval},
                    "rule_files": ["rules.yml"],
                    "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"{LOOPBACK}:{other}"]}]}]},
                    "scrape_configs": [
                        {
                            "job_name": "peerwatch",
                            "static_configs": [{"targets": [f"{LOOPBACK}:{port}" for port in ports]}],
                        }
                    ],
                }
            )
        )
        (folder / "alertmanager.yml").write_text(
            yaml.safe_dump(
                {
                    "route": {"receiver": "hook", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"},
                    "receivers": [{"name": "hook", "webhook_configs": [{"url": webhook, "send_resolved": False}]}],
                }
            )
        )
        self.processes = [
            _start(
                stack,
                folder,
                [
                    prometheus,
                    "--config.file=prometheus.yml",
                    "--storage.tsdb.path=tsdb",
                    f"--web.listen-address={LOOPBACK}:{own}",
                    "--log.level=error",
                ],
            ),
            _start(
                stack,
                folder,
                [
                    alertmanager,
                    "--config.file=alertmanager.yml",
                    "--storage.path=am",
                    f"--web.listen-address={LOOPBACK}:{other}",
                    "--cluster.listen-address=",
                    "--log.level=error",
                ],
            ),
        ]
        for port in (own, other):
            wait_for(
                lambda port=port: _answers(f"http://{LOOPBACK}:{port}/-/ready"),
                60,
                "Prometheus and Alertmanager are ready",
            )


class Peerwatch:
    """`python -m alerts` over the same sidecars."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path, ports: list[int], webhook: str) -> None:
        folder.mkdir()
        settings: dict[str, Any] = {
            "fleet": "bench",
            "state_dir": str(folder),
            "listen": f"{LOOPBACK}:0",
            "interval": "15s",
            "targets": [
                {"peer": f"peer-{number}", "url": f"http://{LOOPBACK}:{port}/metrics"}
                for number, port in enumerate(ports)
            ],
            "routes": [{"name": "hook", "url": webhook}],
            "grouping": {"wait": "0s", "interval": "0s"},
        }
        (folder / "alerts.yaml").write_text(yaml.safe_dump(settings))
        command = [sys.executable, "-m", "alerts", "--config", str(folder / "alerts.yaml")]
        self.processes = [_start(stack, folder, command, cwd=ROOT)]
        log = folder / "log"
        wait_for(lambda: " routes" in log.read_text(), 30, "the alert loop runs")


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Processor time of all threads, to the nanosecond."""
    threads = [thread for process in processes for thread in Path(f"/proc/{process.pid}/task").iterdir()]
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def uss(processes: list[psutil.Process]) -> float:
    """Memory that only these processes hold, in MB."""
    return float(sum(process.memory_full_info().uss for process in processes)) / 1e6


def _start(stack: contextlib.ExitStack, folder: Path, command: list[str], cwd: Path | None = None) -> psutil.Process:
    log = stack.enter_context((folder / "log").open("ab"))
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd=cwd or folder)
    stack.callback(_end, process)
    return psutil.Process(process.pid)


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        time.sleep(0.1)
        return False
