"""Three trainers of rl-swarm and two of ours under one alert loop: each problem is told of its peer alone.

Real processes, a real EVM node with the swarm's contract, the sidecars, the sources and the board as the fleet's file
makes them; only the time is the test's, which passes a minute for each look at everything. Ours make a step of training
in each minute.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
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
from exporter.leaderboard.board_service import BoardService
from exporter.leaderboard.changes import CHANGES_FILE, Changes
from exporter.leaderboard.config import load as load_leaderboard
from exporter.leaderboard.standings import Standings
from exporter.run_folder import METRICS_FILE, write_atomically
from exporter.serving.host_names import scraped_names
from exporter.snapshot import Snapshot
from fleet.configuration.compose import compose
from fleet.configuration.load import Loaded, load_text
from fleet.doctor.checks import rewards
from fleet.doctor.site import Site
from fleet.processes.files import configurations, make_folders, write
from fleet.processes.programs import plan_programs
from tests import warm
from tests.alerts.conftest import Sidecar
from tests.exporter.identity.test_own_peer import write_key
from tests.exporter.sources.evm_node import Node, RpcServer, compile_coordinator, compile_multicall
from tests.fakes import get, is_free, reserve_ports, wait_for

pytestmark = pytest.mark.e2e

MINUTE = 60.0
ATTACHED = ("alfa", "bravo", "charlie")
OURS = ("delta", "echo")
IPC = "DHT IPC error: [Errno 11] Resource temporarily unavailable. Restarting training..."
CRASH = "huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests for url: https://huggingface.co/x"
# The reward of a peer of ours: a step waits for the next minute, and one needs a file of the hub once there is `pull`.
REWARD = f"""
import time
from pathlib import Path

import httpx
from huggingface_hub.errors import HfHubHTTPError

HERE = Path(__file__).parent
minute = 0.0

def digits(completions, **_):
    global minute
    while (now := float((HERE.parent / "clock").read_text())) <= minute:
        time.sleep(0.005)
    minute = now
    if (HERE / "pull").exists():
        refused = httpx.Response(429, request=httpx.Request("HEAD", "https://huggingface.co/x"))
        raise HfHubHTTPError({CRASH.partition(": ")[2]!r}, response=refused)
    return [1 + sum(one.isdigit() for one in text) / max(len(text), 1) for text in completions]
"""
STEPS = re.compile(r"^trainer_last_step_timestamp_seconds (\S+)$", re.MULTILINE)


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


class Ours:
    """A trainer of ours with the tiny model."""

    def __init__(self, command: list[str], clock: Path, run_folder: Path) -> None:
        module, arguments = command[2], command[3:]
        assert module == "trainer"
        self._page = run_folder / METRICS_FILE
        log = run_folder / "trainer.log"
        self.process = warm.start("tests.e2e.trainer_by_clock", str(clock), *arguments, out=log, err=log)
        self._is_stopped = False

    def stop(self) -> None:
        self._is_stopped = True
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._is_stopped = False
        self.process.send_signal(signal.SIGCONT)

    def has_trained(self, now: float) -> bool:
        """Whether it has made a step of this minute; of one that cannot nothing is expected."""
        if self._is_stopped or self.process.poll() is not None:
            return True
        found = STEPS.search(self._page.read_text())
        return found is not None and float(found[1]) >= now

    def end(self) -> None:
        self.go_on()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(180)


class World:
    """The fleet; `pass_minute` is everything that happens in a minute."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """`stack` ends what it begins."""
        self.folder, self._clock, self._stack = folder, folder / "clock", stack
        self.attached = {name: Attached(folder / name) for name in ATTACHED}
        for one in self.attached.values():
            stack.callback(one.end)
        # All processes have begun before.
        self._set_clock(time.time() + 2 * MINUTE)
        for name in OURS:
            (folder / name).mkdir()
            (folder / name / "rewards.py").write_text(REWARD)
        ports = reserve_ports(3 + len(OURS))
        self.loaded = self._load(folder, ports)
        programs = self._prepare(folder)
        self.ours = {
            name: self._start(name, programs[f"peer:{name}"], port) for name, port in zip(OURS, ports[3:], strict=True)
        }
        self._serve(ports[0])
        self._make_sidecars(programs)
        self._make_loop()
        self._wait_for_ours()

    def _build_chain(self) -> None:
        self.node = Node()
        self.contract = self.node.deploy(compile_coordinator())
        self.multicall = self.node.deploy(compile_multicall())
        self.rpc = RpcServer(self.node, CHAIN_ID)
        self._stack.callback(self.rpc.close)
        for peer in self.attached.values():
            self.node.send(self.contract, "registerPeer(string)", peer.peer_id)

    def _set_clock(self, now: float) -> None:
        self.now = now
        write_atomically(self._clock, repr(now).encode())

    def _load(self, folder: Path, ports: list[int]) -> Loaded:
        self._build_chain()
        leaderboard, alerts, sidecar, *trainers = ports
        attached = "".join(
            f"  - name: {name}\n    kind: attached\n    find: {{folder: {name}, command: swarm_launcher}}\n"
            f"    identity: {name}/swarm.pem\n    contract: {self.contract}\n"
            f"    progress: [{{log: {{path: logs/swarm_launcher.log}}}}]\n    stall: {{ceiling: 10m}}\n"
            for name in ATTACHED
        )
        ours = "".join(
            f"  - {{name: {name}, trainer_port: {port}, rewards: ['{name}/rewards.py:digits']}}\n"
            for name, port in zip(OURS, trainers, strict=True)
        )
        chain = f"kind: chain, rpc: ['{self.rpc.url}'], multicall: '{self.multicall}', max_block_age_seconds: 86400"
        rules = (
            "{RewardNotCounting: {after: 25m, for: 0s}, PeerDown: {for: 1m},"
            " DiskLow: {enabled: false}, HostMemoryPressure: {enabled: false}}"
        )
        trainer = (
            "{model: tiny, device: cpu, grpo: {num_generations: 4, max_completion_length: 8}, stages_per_round: 1,"
            " steps_per_stage: 100, publish_interval_seconds: 0.2, stall: {floor_seconds: 600}}"
        )
        text = (
            f"fleet: mixed\nports: {{leaderboard: {leaderboard}, alerts: {alerts}, sidecar: {sidecar}}}\n"
            f"trainer: {trainer}\nleaderboard: {{poll_interval_seconds: 0.2}}\n"
            f"peers:\n{attached}{ours}sources:\n  - {{{chain}}}\n"
            f"alerts: {{charts: false, rules: {rules}}}\n"
        )
        loaded = load_text(text, "peerwatch.yaml", folder, folder / "state")
        assert loaded.lines() == []
        return loaded

    def _prepare(self, base: Path) -> dict[str, list[str]]:
        """Writes what the fleet's processes read; their commands."""
        config, peers, folder = self.loaded.config, self.loaded.peers, self.loaded.folder
        assert config is not None
        composition = compose(config, peers, folder, base, make_folders(folder, peers))
        files = configurations(composition, folder)
        for path, text in files.values():
            write(path, text)
        self._leaderboard = files["leaderboard"][0]
        planned = plan_programs(config, peers, folder, "test", base=base)
        return {one.title: list(one.command[one.command.index("--") + 1 :]) for one in planned}

    def _start(self, name: str, command: list[str], port: int) -> Ours:
        one = Ours(command, self._clock, self.loaded.folder.peer(name))
        self._stack.callback(one.end)
        # The second joins the swarm of the first.
        wait_for(lambda: not is_free(port) or one.process.poll() is not None, 90, f"{name} listens", every=0.02)
        return one

    def _serve(self, port: int) -> None:
        """The leaderboard's process without its clock: the board reads by itself, the chain when the test says so."""
        config = load_leaderboard(self._leaderboard)
        changes = Changes(config.database.with_name(CHANGES_FILE))
        self.standings = Standings(config.make_sources(), changes, config.list_watched())
        self._board = BoardService(config, self._leaderboard, scraped_names("127.0.0.1", ()), self.standings)
        self._stop = threading.Event()
        self._server = uvicorn.Server(uvicorn.Config(self._board.app, port=port, log_level="warning", lifespan="off"))
        self._threads = [
            threading.Thread(target=self._server.run, daemon=True),
            threading.Thread(target=self._board.run, args=(self._stop,), daemon=True),
        ]
        self._stack.callback(self._end_service)
        for one in self._threads:
            one.start()
        self._url = f"http://127.0.0.1:{port}"

    def _wait_for_ours(self) -> None:
        """Until both have a place on the board."""

        def both_are_on_the_board() -> bool:
            for name, one in self.ours.items():
                assert one.process.poll() is None, self.loaded.folder.log("peer", name).read_text()
            return self._server.started and get(f"{self._url}/api/leaderboard").json()["total"] == len(OURS)

        wait_for(both_are_on_the_board, 60, "both of ours are on the board", every=0.1)

    def _make_sidecars(self, programs: dict[str, list[str]]) -> None:
        self.snapshots: dict[str, Snapshot] = {}
        self.sidecars: dict[str, Sidecar] = {}
        for name in (*ATTACHED, *OURS):
            config = parse_arguments(programs[f"sidecar:{name}"][3:])
            self.snapshots[name] = Snapshot(discover(config), constant=[], timeout_seconds=30)
            self.sidecars[name] = Sidecar(lambda name=name: self.snapshots[name].page.plain)
            self._stack.callback(self.sidecars[name].close)

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
        self._stack.callback(self._end_loop)

    def pass_minute(self) -> None:
        self._set_clock(self.now + MINUTE)
        for name, one in self.ours.items():
            wait_for(lambda one=one: one.has_trained(self.now), 60, f"a step of {name}", every=0.01)
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

    def _end_service(self) -> None:
        self._stop.set()
        self._server.should_exit = True
        self._board.end_reader()
        for one in self._threads:
            one.join(10)
        self._board.close()

    def _end_loop(self) -> None:
        stop = asyncio.Event()
        stop.set()
        self._runner.run(self.loop.run(stop))
        self._runner.close()
        self.store.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack)


def test_each_problem_is_told_of_its_peer_and_of_no_other(world: World) -> None:
    for minute in range(38):
        # Alfa is credited until it crashes, bravo never; charlie falls silent.
        if minute < 33:
            world.take_part("alfa", minute, reward=3)
        elif minute == 33:
            world.attached["alfa"].log(world.now, f"Exception occurred during game run.\n{CRASH}", "ERROR")
            world.attached["alfa"].end()
        world.take_part("bravo", minute, reward=0)
        if minute % 6 == 0:
            world.attached["bravo"].log(world.now, "Failed to submit to chain.", "ERROR")
        if minute < 12:
            world.take_part("charlie", minute, reward=1)
        elif minute == 12:
            world.attached["charlie"].log(world.now, IPC, "WARN")
        world.node.mine()
        # Delta hangs for a quarter of an hour; echo crashes.
        if minute == 6:
            world.ours["delta"].stop()
        if minute == 21:
            world.ours["delta"].go_on()
        if minute == 30:
            (world.folder / "echo" / "pull").touch()
        world.pass_minute()

    assert world.firing() == {
        ("RewardNotCounting", "bravo"),
        ("PeerStalled", "charlie"),
        ("PeerStalled", "delta"),
        ("PeerDown", "echo"),
        ("PeerDown", "alfa"),
    }
    said = {(event["rule"], event["peer"]): event["body"] for event in world.events()}
    assert re.search(
        r"contract \S* ?credited (?:any|no)thing for \d\d min; limit 25 min", said["RewardNotCounting", "bravo"]
    )
    for name in ("alfa", "echo"):
        # Each line of it counts, of a traceback the last one too.
        assert re.search(r"Known problem(, \d times)?: Hugging Face limits the rate", said["PeerDown", name])
    # Of those that run, the sidecar tells it.
    assert "Known problem: rewards are not accepted by the chain." in said["RewardNotCounting", "bravo"]
    assert "Known problem: the connection to the DHT process broke" in said["PeerStalled", "charlie"]
    assert "Known problem" not in said["PeerStalled", "delta"]

    found = {one.message.split()[1]: one for one in rewards.examine(Site(world.loaded))}
    account = world.node.accounts[0].lower()
    for name in ATTACHED:
        assert f"under {account} with 2 other peers" in found[name].message
    assert "reward 0, 0 wins, 7 rounds voted in" in found["bravo"].message
