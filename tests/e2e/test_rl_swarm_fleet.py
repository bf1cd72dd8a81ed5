"""Three trainers of rl-swarm and two commands of ours under one alert loop: each problem is told of its peer alone.

Real processes, a real EVM node with the swarm's contract, the sidecars and the sources as the fleet's file makes them;
only the time is the test's, which passes a minute for each look at everything.
"""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from alerts.config import AlertsConfig
from alerts.delivery.apprise_sender import Sender
from alerts.delivery.dispatcher import Dispatcher
from alerts.delivery.outbox import Outbox
from alerts.delivery.queue import Queue
from alerts.delivery.route_style import RouteStyles
from alerts.delivery.silence_store import SilenceStore
from alerts.loop import Loop
from alerts.store import Store
from exporter.chain.coordinator import CHAIN_ID
from exporter.collectors import discover
from exporter.config import parse_arguments
from exporter.leaderboard.changes import CHANGES_FILE, Changes
from exporter.leaderboard.config import load as load_leaderboard
from exporter.leaderboard.standings import Standings
from exporter.leaderboard.standings_api import make_sources_app
from exporter.serving.host_names import scraped_names
from exporter.snapshot import Snapshot
from fleet.configuration.load import Loaded, load_text
from fleet.doctor.checks import rewards
from fleet.doctor.site import Site
from fleet.processes.files import configurations, make_folders, write
from fleet.processes.programs import plan_programs
from tests.alerts.conftest import Sidecar
from tests.exporter.identity.test_own_peer import write_key
from tests.exporter.sources.evm_node import Node, RpcServer, compile_coordinator, compile_multicall
from tests.fakes import reserve_ports, wait_for

pytestmark = pytest.mark.e2e

MINUTE = 60.0
ATTACHED = ("alfa", "bravo", "charlie")
COMMANDS = ("delta", "echo")
IPC = "DHT IPC error: [Errno 11] Resource temporarily unavailable. Restarting training..."
CRASH = "huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests for url: https://huggingface.co/x"


class Attached:
    """A trainer of rl-swarm 0.6 by its command line, identity and log; what it logs is the test's."""

    def __init__(self, folder: Path) -> None:
        module = folder / "rgym_exp" / "runner" / "swarm_launcher.py"
        module.parent.mkdir(parents=True)
        module.write_text("import sys\nprint('up', flush=True)\nsys.stdin.read()\n")
        (folder / "logs").mkdir()
        self._log = folder / "logs" / "swarm_launcher.log"
        self.peer_id = write_key(folder / "swarm.pem", folder.name)
        self.round = 56
        command = [sys.executable, "-m", "rgym_exp.runner.swarm_launcher", "--config-name", "rg-swarm.yaml"]
        self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def log(self, now: float, text: str, level: str = "INFO") -> None:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        with self._log.open("a") as file:
            file.write(f"[{at},000][genrl.logging_utils.global_defs][{level}] - {text}\n")
        # No reader believes a line that is newer than its file.
        os.utime(self._log, (now, now))

    def begin_round(self, now: float) -> None:
        self.round += 1
        self.log(now, f"Starting round: {self.round}/1000000.")

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


class Command:
    """A `kind: command` peer as the fleet starts it, which prints what the test says."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, text=True)

    def say(self, now: float, line: str) -> None:
        assert self.process.stdin is not None
        before = self._log.stat().st_size
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        wait_for(lambda: self._log.stat().st_size > before, 10, "the line is in the log", every=0.01)
        os.utime(self._log, (now, now))

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


class World:
    """The fleet; `pass_minute` is everything that happens in a minute."""

    def __init__(self, folder: Path) -> None:
        self._build_chain()
        port, alerts, sidecar = reserve_ports(3)
        self.attached = {name: Attached(folder / name) for name in ATTACHED}
        # All processes have begun before.
        self.now = time.time() + MINUTE
        echo = folder / "print_lines.py"
        echo.write_text(
            "import sys\nfor line in sys.stdin:\n    if line == 'fail\\n':\n        sys.exit(1)\n"
            "    print(line, end='', flush=True)\n"
        )
        for peer in self.attached.values():
            self.node.send(self.contract, "registerPeer(string)", peer.peer_id)
        self.loaded = self._load(folder, ports=f"{{leaderboard: {port}, alerts: {alerts}, sidecar: {sidecar}}}")
        self._prepare()
        assert self.loaded.config is not None
        planned = plan_programs(self.loaded.config, self.loaded.peers, self.loaded.folder, "test", base=folder)
        programs = {one.title: list(one.command[one.command.index("--") + 1 :]) for one in planned}
        logs = {name: self.loaded.folder.log("peer", name) for name in COMMANDS}
        self.commands = {name: Command(programs[f"peer:{name}"], logs[name]) for name in COMMANDS}
        self._serve_sources(port)
        self._make_sidecars(programs)
        self._make_loop()

    def _build_chain(self) -> None:
        self.node = Node()
        self.contract = self.node.deploy(compile_coordinator())
        self.multicall = self.node.deploy(compile_multicall())
        self.rpc = RpcServer(self.node, CHAIN_ID)

    def _load(self, folder: Path, ports: str) -> Loaded:
        attached = "".join(
            f"  - name: {name}\n    kind: attached\n    find: {{folder: {name}, command: swarm_launcher}}\n"
            f"    identity: {name}/swarm.pem\n    contract: {self.contract}\n"
            f"    progress: [{{log: {{path: logs/swarm_launcher.log}}}}]\n    stall: {{ceiling: 10m}}\n"
            for name in ATTACHED
        )
        commands = "".join(
            f"  - {{name: {name}, kind: command, command: [{sys.executable}, -u, print_lines.py]}}\n"
            for name in COMMANDS
        )
        chain = f"kind: chain, rpc: ['{self.rpc.url}'], multicall: '{self.multicall}', max_block_age_seconds: 86400"
        rules = (
            "{RewardNotCounting: {after: 25m, for: 0s}, PeerFailed: {for: 0s}, PeerDown: {for: 1m},"
            " DiskLow: {enabled: false}, HostMemoryPressure: {enabled: false}}"
        )
        text = (
            f"fleet: mixed\nports: {ports}\npeers:\n{attached}{commands}sources:\n  - {{{chain}}}\n"
            f"alerts: {{charts: false, rules: {rules}}}\n"
        )
        loaded = load_text(text, "peerwatch.yaml", folder, folder / "state")
        assert loaded.lines() == []
        return loaded

    def _prepare(self) -> None:
        make_folders(self.loaded.folder, self.loaded.peers)
        files = configurations(self.loaded.composition, self.loaded.folder)
        for path, text in files.values():
            write(path, text)
        self._leaderboard = load_leaderboard(files["leaderboard"][0])

    def _serve_sources(self, port: int) -> None:
        changes = Changes(self._leaderboard.database.with_name(CHANGES_FILE))
        self.standings = Standings(self._leaderboard.make_sources(), changes, self._leaderboard.list_watched())
        hosts = scraped_names("127.0.0.1", ())
        app = make_sources_app(self.standings, hosts, lambda: self.now)
        self._server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
        self._serving = threading.Thread(target=self._server.run, daemon=True)
        self._serving.start()
        wait_for(lambda: self._server.started, 10, "the service serves")

    def _make_sidecars(self, programs: dict[str, list[str]]) -> None:
        self.snapshots: dict[str, Snapshot] = {}
        self.sidecars: dict[str, Sidecar] = {}
        for name in (*ATTACHED, *COMMANDS):
            config = parse_arguments(programs[f"sidecar:{name}"][3:])
            self.snapshots[name] = Snapshot(discover(config), constant=[], timeout_seconds=30)
            self.sidecars[name] = Sidecar(lambda name=name: self.snapshots[name].page.plain)

    def _make_loop(self) -> None:
        composed = self.loaded.composition.alerts
        assert composed is not None
        data = composed.model_dump(mode="json")
        for target in data["targets"]:
            target["url"] = self.sidecars[target["peer"]].url
        config = AlertsConfig.model_validate(data)
        self.store, sender = Store(config.state_dir / "alerts.sqlite"), Sender({})
        queue, styles = Queue(self.store), RouteStyles(config, sender)
        outbox = Outbox(queue, sender, styles, (), lambda: self.now)
        dispatcher = Dispatcher(config, queue, SilenceStore(self.store), styles, outbox, lambda: self.now)
        self._runner = asyncio.Runner()
        self.loop = Loop(config, self.store, dispatcher, outbox, styles, lambda: self.now, lambda: self.now)

    def pass_minute(self) -> None:
        self.now += MINUTE
        self.standings.read("chain", self.now)
        for snapshot in self.snapshots.values():
            snapshot.refresh(self.now)
        self._runner.run(self.loop.check_all())

    def take_part(self, name: str, minute: int, reward: int) -> None:
        """A round every two minutes, a vote and a submission every six."""
        peer = self.attached[name]
        if minute % 2 == 0:
            peer.begin_round(self.now)
        if minute % 6 == 0:
            self.node.send(self.contract, "submitWinner(string,string)", "nobody", peer.peer_id)
            if reward:
                self.node.send(self.contract, "submitReward(string,int256)", peer.peer_id, reward)

    def events(self) -> list[dict[str, str]]:
        return [event for event in self.store.events(1000) if event["kind"] == "firing"]

    def firing(self) -> set[tuple[str, str]]:
        return {(event["rule"], event["peer"]) for event in self.events()}

    def close(self) -> None:
        for one in (*self.attached.values(), *self.commands.values()):
            one.end()
        stop = asyncio.Event()
        stop.set()
        self._runner.run(self.loop.run(stop))
        self._runner.close()
        self.store.close()
        for sidecar in self.sidecars.values():
            sidecar.close()
        self._server.should_exit = True
        self._serving.join(10)
        self.rpc.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_each_problem_is_told_of_its_peer_and_of_no_other(world: World) -> None:
    for minute in range(50):
        # Alfa is credited until it ends, bravo never; charlie falls silent after half an hour.
        if minute < 44:
            world.take_part("alfa", minute, reward=3)
        world.take_part("bravo", minute, reward=0)
        if minute % 6 == 0:
            world.attached["bravo"].log(world.now, "Failed to submit to chain.", "ERROR")
        if minute < 30:
            world.take_part("charlie", minute, reward=1)
        elif minute == 30:
            world.attached["charlie"].log(world.now, IPC, "WARN")
        for command in world.commands.values():
            if command.process.poll() is None:
                command.say(
                    world.now,
                    f"{{'loss': 0.5, 'reward': {0.1 + minute % 3 / 10}, 'reward_std': 0.2, 'epoch': {minute}}}",
                )
        world.node.mine()
        if minute == 40:
            world.commands["delta"].say(world.now, f"Traceback (most recent call last):\n{CRASH}\nfail")
            world.commands["delta"].process.wait(60)
        if minute == 44:
            world.attached["alfa"].log(world.now, f"Exception occurred during game run.\n{CRASH}", "ERROR")
            world.attached["alfa"].end()
        world.pass_minute()

    assert world.firing() == {
        ("RewardNotCounting", "bravo"),
        ("PeerStalled", "charlie"),
        ("PeerFailed", "delta"),
        # Nobody hears of it: how it ended says more.
        ("PeerDown", "delta"),
        ("PeerDown", "alfa"),
    }
    said = {(event["rule"], event["peer"]): event["body"] for event in world.events()}
    assert re.search(
        r"contract \S* ?credited (?:any|no)thing for \d\d min; limit 25 min", said["RewardNotCounting", "bravo"]
    )
    for key in (("PeerFailed", "delta"), ("PeerDown", "alfa")):
        assert "Known problem: Hugging Face limits the rate of downloads." in said[key]
    # Of those that run, the sidecar tells it.
    assert "Known problem: rewards are not accepted by the chain." in said["RewardNotCounting", "bravo"]
    assert "Known problem: the connection to the DHT process broke" in said["PeerStalled", "charlie"]

    found = {one.message.split()[1]: one for one in rewards.examine(Site(world.loaded))}
    account = world.node.accounts[0].lower()
    for name in ATTACHED:
        assert f"under {account} with 2 other peers" in found[name].message
    assert "reward 0, 0 wins, 9 rounds voted in" in found["bravo"].message
