"""A fleet installed as services, driven by the command and watched from outside."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from fleet.processes.owner import owned_by
from fleet.state_folder import StateFolder
from fleet.supervision.installed import read_installed
from tests import warm
from tests.fakes import reserve_ports

ROOT = Path(__file__).parents[2]

# It pauses, as a peer that trains without rest would take all of a processor.
REWARD_SOURCE = """
import time
def reward(completions, **kwargs):
    time.sleep(1.5)
    return [1.0 for _ in completions]
"""


def settings(names: list[str], ports: list[int], **more: Any) -> dict[str, Any]:
    """A configuration with quick restarts; two ports for each peer, then two for the services.

    REWARD_SOURCE has to lie beside it as reward.py.
    """
    peers = [
        {"name": name, "trainer_port": ports[2 * index], "sidecar_port": ports[2 * index + 1]}
        for index, name in enumerate(names)
    ]
    return {
        "fleet": "tried",
        "state_dir": "state",
        "peers": peers,
        "ports": {"leaderboard": ports[-2], "alerts": ports[-1]},
        "trainer": {
            "model": "tiny",
            "device": "cpu",
            "rewards": ["reward.py:reward"],
            "grpo": {"num_generations": 2, "max_completion_length": 4},
            "steps_per_stage": 5,
            "save_interval_seconds": 5,
        },
        "sidecar_interval": "1s",
        "restart": {"first_delay": "0.5s", "longest_delay": "0.5s", "limit": 1000},
        "alerts": {"interval": "1s"},
        **more,
    }


@dataclass
class Services:
    """`peerwatch services` for the configuration in `folder`."""

    folder: Path
    ports: list[int]

    @classmethod
    def of(cls, folder: Path, names: list[str]) -> "Services":
        folder.mkdir(parents=True)
        (folder / "reward.py").write_text(REWARD_SOURCE)
        services = cls(folder, reserve_ports(2 * len(names) + 2))
        services.configure(settings(names, services.ports))
        return services

    @property
    def state(self) -> StateFolder:
        return StateFolder(self.folder / "state")

    def configure(self, content: dict[str, Any]) -> None:
        (self.folder / "peerwatch.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    def configuration(self) -> dict[str, Any]:
        content: dict[str, Any] = yaml.safe_load((self.folder / "peerwatch.yaml").read_text())
        return content

    def peerwatch(self, *arguments: str, status: int = 0) -> str:
        """Runs `peerwatch ARGUMENTS`; returns its output, and expects the exit status `status`."""
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        result = warm.run("fleet", *arguments, folder=self.folder, environment=environment)
        assert result.returncode == status, f"{arguments}: {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout + result.stderr

    def owned(self) -> list[psutil.Process]:
        """Every process that carries the mark of these services."""
        installed = read_installed(self.state)
        return owned_by(installed.owner) if installed else []

    def steps(self, name: str) -> int:
        """The steps of the trainer since its last start."""
        try:
            text = (self.state.peer(name) / "trainer.prom").read_text()
        except FileNotFoundError:
            return 0
        found = [line for line in text.splitlines() if line.startswith("trainer_steps_total ")]
        return int(float(found[0].split()[1])) if found else 0

    def trainer_pid(self, name: str) -> int:
        record: dict[str, Any] = json.loads((self.state.peer(name) / "process.json").read_text())
        return int(record["pid"])

    def listening(self) -> set[int]:
        """Those of the fleet's ports that are listened on."""
        taken = {one.laddr.port for one in psutil.net_connections("inet") if one.status == psutil.CONN_LISTEN}
        return taken & set(self.ports)
