"""Starts real trainers and reads their swarm from outside, as other software of the swarm does."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests import warm
from tests.fakes import name_of, wait_for

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0

# The tiny model at its quickest: these tests are about a peer's lifecycle, not about learning.
QUICK = {"num_generations": 2, "max_completion_length": 4}
SHORT = {"grpo": QUICK, "steps_per_stage": 4, "publish_interval_seconds": 0.5, "poll_interval_seconds": 0.2}

READER = """
import json, os, sys
os.environ["HIVEMIND_LOGLEVEL"] = "CRITICAL"
from hivemind import DHT
dht = DHT(start=True, client_mode=True, initial_peers=[sys.argv[1]])
def read(key):
    found = dht.get(key, latest=True)
    if found is None or not isinstance(found.value, dict):
        return found and found.value
    return {subkey: entry.value for subkey, entry in found.value.items()}
print(json.dumps({key: read(key) for key in sys.argv[2:]}))
dht.shutdown()
"""


class Peer:
    """One trainer process and its run folder."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        self.run_dir = folder / "run"
        self.config = folder / "peer.yaml"
        self.output = folder / "output.txt"
        self.config.write_text(yaml.safe_dump({"name": folder.name, "run_dir": str(self.run_dir), **options}))
        self.process: subprocess.Popen[bytes] | warm.WarmProcess | None = None

    def start(self, *arguments: str) -> "Peer":
        """Starts the trainer, with its imports done; the output of all its runs goes to one file."""
        options = ("--config", str(self.config), *arguments)
        self.process = warm.start("trainer", *options, out=self.output, err=self.output)
        return self

    def start_cold(self) -> "Peer":
        """Starts the trainer as its users do."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "trainer", "--config", str(self.config)]
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        return self

    def text(self) -> str:
        return self.output.read_text()

    def steps(self) -> list[dict[str, str]]:
        """The step lines, as {name: value}."""
        return [dict(re.findall(r"(\w+)=(\S+)", line)) for line in self.text().splitlines() if line.startswith("step=")]

    def wait_for_steps(self, count: int) -> None:
        """Waits until the output holds `count` step lines."""

        def check() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.text()
            return len(self.steps()) >= count

        wait_for(check, START_SECONDS, f"{count} steps: {self.output}", every=0.1)

    def address(self) -> str:
        """The multiaddr that it logged last."""
        wait_for(lambda: " listens on " in self.text(), START_SECONDS, f"an address: {self.output}")
        return re.findall(r"listens on (\S+?)(?:,|\s)", self.text())[-1]

    def children(self) -> list[psutil.Process]:
        """Its DHT process and p2pd; torch's shared-memory process exits automatically and is not counted."""
        assert self.process is not None
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in found if name_of(process) != "torch_shm_manager"]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(180)


def read_swarm(address: str, *keys: str) -> dict[str, Any]:
    """What a client of the swarm reads under these keys."""
    output = subprocess.check_output([sys.executable, "-c", READER, address, *keys], timeout=360)
    return dict(json.loads(output))
