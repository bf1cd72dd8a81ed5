"""Starts whole fleets of real processes through `peerwatch up` and watches them from outside."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import (
    LOOPBACK,
    Mailbox,
    Message,
    Webhook,
    arguments_of,
    descendants,
    get,
    reserve_ports,
    still_alive,
    wait_for,
)

STEP_LINE = re.compile(
    r"^step=\d+ round=(\d+) stage=(\d+) stage_reward=(\S+)(?: others=\S+)? reward=(\S+)", re.MULTILINE
)

# A peer earns by the share of digits that it writes, until its operator puts the file `idle` into its folder; a file
# `hoard` makes it keep that many mebibytes of memory, for real, until it is gone. It pauses, as a fleet that trains
# without rest would take all of the machine.
REWARD_SOURCE = """
import time
from pathlib import Path

HERE = Path(__file__).parent
held = []


def reward(completions, **kwargs):
    time.sleep(2)
    hoard = HERE / "hoard"
    if not hoard.exists():
        held.clear()
    elif not held:
        held.append(b"x" * (int(hoard.read_text()) * 2**20))
    if (HERE / "idle").exists():
        return [0.0 for _ in completions]
    return [{weight} * (1 + sum(c.isdigit() for c in text) / max(len(text), 1)) for text in completions]
"""


class Step(NamedTuple):
    """One step line of a trainer's log; `stage_reward` is the sum over the stage so far, `reward` the step's mean."""

    round: int
    stage: int
    stage_reward: float
    reward: float


@dataclass
class Peer:
    """One trainer with its sidecar, seen from outside."""

    name: str
    run_folder: Path
    reward_folder: Path
    sidecar_url: str

    def process(self) -> psutil.Process:
        record = json.loads((self.run_folder / "process.json").read_text())
        return psutil.Process(record["pid"])

    def page(self) -> str:
        return get(f"{self.sidecar_url}/metrics").raise_for_status().text

    def value(self, name: str, **labels: str) -> float | None:
        """The sample `name` with these labels on the sidecar's page; None if absent."""
        for family in text_string_to_metric_families(self.page()):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return None

    @contextmanager
    def stopped(self) -> Iterator[psutil.Process]:
        """The trainer, stopped in the middle of a step; it goes on afterwards.

        A save or a wait for the round has an allowance of minutes, so a trainer that was caught in one is let go again.
        """
        process = self.process()
        for _ in range(60):
            process.suspend()
            try:
                time.sleep(2)  # the sidecar collects once a second, and a stopped trainer writes its page no more
                if any(self.value("trainer_state", trainer_state=state) for state in ("generating", "training")):
                    yield process
                    return
            finally:
                process.resume()
            time.sleep(0.3)
        raise AssertionError(f"{self.name} was never caught in a step")

    def steps_logged(self) -> list[Step]:
        log = (self.run_folder / "trainer.log").read_text(errors="replace")
        return [Step(int(r), int(s), float(total), float(mean)) for r, s, total, mean in STEP_LINE.findall(log)]


@dataclass
class Fleet:
    """A running `peerwatch up` with the servers that its alerts go to."""

    folder: Path
    config: Path
    peers: list[Peer]
    leaderboard_url: str
    alerts_url: str
    prometheus_url: str
    mailbox: Mailbox
    webhook: Webhook
    options: tuple[str, ...] = ()
    ending: signal.Signals = signal.SIGINT
    process: subprocess.Popen[bytes] | None = None
    seen: list[psutil.Process] = field(default_factory=list)

    def start(self) -> None:
        log = (self.folder / "up.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fleet", "up", "-f", str(self.config), *self.options],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        log.close()

    def output(self) -> str:
        return (self.folder / "up.log").read_text(errors="replace")

    def status(self) -> dict[str, Any]:
        return get(f"{self.alerts_url}/api/status").raise_for_status().json()

    def firing(self) -> set[tuple[str, str]]:
        return {(one["rule"], one["peer"]) for one in self.status()["alerts"] if one["state"] == "firing"}

    def wait(self, check: Callable[[], object], seconds: float, what: str) -> object:
        """`wait_for`, patient with a service that is not up yet, and with the fleet's own output in the failure."""

        def patiently() -> object:
            assert self.process is not None
            assert self.process.poll() is None, f"peerwatch up ended with {self.process.returncode}:\n{self.output()}"
            try:
                return check()
            except (httpx.HTTPError, OSError, psutil.Error, ValueError):
                return None

        try:
            return wait_for(patiently, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()[-3000:]}") from None

    def wait_until_all_train(self, seconds: float = 60) -> None:
        self.wait(
            lambda: all((peer.value("trainer_steps_total") or 0) >= 3 for peer in self.peers),
            seconds,
            "every peer has taken steps",
        )
        self.wait(lambda: all(peer.value("swarm_rank") for peer in self.peers), 60, "every peer has a rank")

    def wait_until_quiet(self, seconds: float = 60) -> None:
        self.wait(lambda: not self.firing(), seconds, "no alert is firing")

    def arrived(self, *words: str) -> bool:
        """Whether a message with all these words has come by mail and by webhook."""
        return all(
            any(message.says(*words) for message in messages)
            for messages in (self.mailbox.messages, self.webhook.messages)
        )

    def service(self, module: str) -> psutil.Process:
        """The process that runs `python -m MODULE`, for a service of which there is one."""
        assert self.process is not None
        for process in descendants(self.process.pid):
            if arguments_of(process)[1:3] == ["-m", module]:
                return process
        raise AssertionError(f"no {module} runs")

    def stop(self) -> None:
        """Ends the fleet as Ctrl-C does."""
        assert self.process is not None
        self.seen = descendants(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(self.ending)
        self.process.wait(timeout=180)


def count(messages: list[Message], *words: str) -> int:
    return sum(message.says(*words) for message in messages)


def _settings(
    folder: Path, names: list[str], ports: list[int], routes: dict[str, str], reward_spread: float
) -> dict[str, Any]:
    peers = []
    for index, name in enumerate(names):
        reward_folder = folder / "rewards" / name
        reward_folder.mkdir(parents=True)
        source = REWARD_SOURCE.replace("{weight}", str(1.0 + index * reward_spread))
        (reward_folder / "reward.py").write_text(source)
        peers.append(
            {
                "name": name,
                "rewards": [f"{reward_folder}/reward.py:reward"],
                "trainer_port": ports[2 * index],
                "sidecar_port": ports[2 * index + 1],
            }
        )
    return {
        "fleet": "e2e",
        "state_dir": str(folder / "state"),
        "ports": {"leaderboard": ports[-2], "alerts": ports[-1], "prometheus": ports[-4]},
        "prometheus": {"scrape_interval": "2s"},
        "peers": peers,
        "trainer": {
            "model": "tiny",
            "device": "cpu",
            # Enough text for digits in it: groups without spread would be alerts of their own.
            "grpo": {"num_generations": 4, "max_completion_length": 8},
            "steps_per_stage": 2,
            "publish_interval_seconds": 2,
            "stall": {"floor_seconds": 6},
        },
        "memory_limit": "2GiB",
        "sidecar_interval": "1s",
        "leaderboard": {"poll_interval_seconds": 1},
        "alerts": {
            "interval": "1s",
            # The tests cause one problem after another; grouping would make them one incident.
            "grouping": {"wait": "0s", "interval": "1s"},
            "routes": [{"name": name, "url": url} for name, url in routes.items()],
            "rules": {
                "PeerDown": {"for": "0s", "recover_after": "0s"},
                "PeerStalled": {"recover_after": "0s"},
                "MemoryExceeded": {"for": "0s", "recover_after": "0s"},
            },
        },
    }


@pytest.fixture(scope="module")
def make_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Fleet]]:
    """Makes and starts fleets; ends them, and fails if one of their processes outlives them."""
    fleets: list[Fleet] = []

    def make(
        names: list[str],
        reward_spread: float = 0.5,
        alerts: dict[str, Any] | None = None,
        options: tuple[str, ...] = (),
        ending: signal.Signals = signal.SIGINT,
    ) -> Fleet:
        folder = tmp_path_factory.mktemp("fleet")
        ports = reserve_ports(2 * len(names) + 4)
        mailbox, webhook = Mailbox(ports[-3]), Webhook()
        mailbox.start()
        settings = _settings(folder, names, ports, {"mail": mailbox.url, "hook": webhook.url}, reward_spread)
        settings["alerts"] |= alerts or {}
        config = folder / "peerwatch.yaml"
        config.write_text(yaml.safe_dump(settings, sort_keys=False))
        peers = [
            Peer(
                name,
                folder / "state" / "peers" / name,
                folder / "rewards" / name,
                f"http://{LOOPBACK}:{ports[2 * index + 1]}",
            )
            for index, name in enumerate(names)
        ]
        fleet = Fleet(
            folder,
            config,
            peers,
            f"http://{LOOPBACK}:{ports[-2]}",
            f"http://{LOOPBACK}:{ports[-1]}",
            f"http://{LOOPBACK}:{ports[-4]}",
            mailbox,
            webhook,
            options,
            ending,
        )
        fleets.append(fleet)
        fleet.start()
        return fleet

    yield make
    leftovers = []
    for fleet in fleets:
        for peer in fleet.peers:  # a test that failed may have left one stopped
            try:
                peer.process().send_signal(signal.SIGCONT)
            except (OSError, psutil.Error):
                continue
        fleet.stop()
        leftovers += still_alive(fleet.seen)
        fleet.mailbox.stop()
        fleet.webhook.close()
    assert not leftovers
