"""rl-swarm of each release is found and read as it is, and run side by side from one checkout, under a real `up`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from exporter.identity.peer_id import read_peer_id
from fleet.commands import attach
from tests.e2e.strangers import SECRET, Stranger, list_trainers
from tests.fakes import LOOPBACK, descendants, get, reserve_ports, still_alive, wait_for
from tests.fleet.rl_swarm.stand_in import CONTRACTS, LAUNCHERS, make_checkout
from trainer.swarm.identity import ensure_identity

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the identity by /proc"),
]
# Attached: the launch script of 0.4, and the trainers of the others themselves.
RELEASES = ("0.4", "0.6", "0.7")
OWN = ("one", "two")
PACE = "0.4"
YARN = """\
#!{python}
import http.server, os
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@dataclass
class Machine:
    folder: Path
    strangers: dict[str, Stranger]
    listed: dict[str, dict[str, Any]]
    ports: list[int]
    up: subprocess.Popen[bytes]

    def page(self, name: str) -> dict[str, float]:
        """The samples of a sidecar, by name and labels as they are written."""
        port = self.ports[0] + [*RELEASES, *OWN].index(name)
        text = get(f"http://{LOOPBACK}:{port}/metrics").raise_for_status().text
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {key: float(value) for key, _, value in lines}

    def state(self, name: str) -> str:
        page = self.page(name)
        (found,) = (one for one, value in page.items() if one.startswith("trainer_state{") and value)
        return found.partition('"')[2].partition('"')[0]

    def wait(self, check: Callable[[], object], seconds: float, what: str) -> None:
        def patiently() -> object:
            assert self.up.poll() is None, (self.folder / "up.log").read_text()
            try:
                return check()
            except (httpx.HTTPError, psutil.Error, OSError, ValueError, KeyError):
                return None

        wait_for(patiently, seconds, f"{what}\n{(self.folder / 'up.log').read_text()}")

    def run_folder(self, name: str) -> Path:
        return self.folder / "state" / "peers" / name

    def trainer(self, name: str) -> psutil.Process:
        return psutil.Process(json.loads((self.run_folder(name) / "process.json").read_text())["pid"])

    def p2pd(self, name: str) -> list[psutil.Process]:
        identity = f"-id={self.run_folder(name)}/identity.pem"
        return [one for one in psutil.process_iter(["cmdline"]) if identity in (one.info["cmdline"] or ())]


def start_stranger(folder: Path, version: str) -> Stranger:
    make_checkout(folder, version)
    ensure_identity(folder / "swarm.pem")
    environment = {"PACE": PACE, "HF_TOKEN": SECRET}
    if version == "0.4":
        (folder / "bin").mkdir()
        (folder / "bin" / "python").symlink_to(sys.executable)
        environment["PATH"] = f"{folder}/bin:{os.environ['PATH']}"
        return Stranger(folder, ["bash", "./run_rl_swarm.sh"], "/dev/null", environment)
    environment |= {"IDENTITY_PATH": "swarm.pem", "SWARM_CONTRACT": CONTRACTS[version]}
    module = LAUNCHERS[version].removesuffix(".py").replace("/", ".")
    return Stranger(folder, [sys.executable, "-m", module, "--config-name", "x.yaml"], "/dev/null", environment)


def count(folder: Path, mark: str) -> int:
    return sum(log.read_text().count(mark) for log in (folder / "logs").glob("*.log"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    first, *_, board, page, login = ports = reserve_ports(8)
    with ExitStack() as stack:
        strangers = {version: start_stranger(folder / version, version) for version in RELEASES}
        for one in strangers.values():
            stack.callback(one.end)
        for version in RELEASES:
            mark = "[PRINT]" if version == "0.4" else "Starting round"
            wait_for(lambda version=version, mark=mark: count(folder / version, mark), 30, f"{version} to begin")
            wait_for(lambda one=strangers[version]: len(one.tree()) > 2, 30, f"the daemon of {version}")
        listed = {Path(str(one["folder"])).name: one for one in list_trainers(folder)}
        for version in RELEASES:
            pid = str(strangers[version].pid)
            assert attach.command(pid, name=version, file=folder / "peerwatch.yaml", only_add=True) == 0
        # What an owner adds: two instances of a checkout of his, ports of this test, short intervals.
        make_checkout(folder / "own", "0.6")
        content = yaml.safe_load((folder / "peerwatch.yaml").read_text())
        own = {"kind": "rl-swarm", "folder": "own", "python": sys.executable, "environment": {"PACE": PACE}}
        content["peers"] += [{"name": name, **own, "login_port": login, "spacing": "1s"} for name in OWN]
        content["ports"] = {"sidecar": first, "alerts": page, "leaderboard": board}
        content |= {"state_dir": "state", "sidecar_interval": "1s"}
        content["alerts"] |= {"interval": "1s"}
        content["restart"] = {"first_delay": "1s"}
        (folder / "peerwatch.yaml").write_text(yaml.safe_dump(content))
        (folder / "bin").mkdir()
        (folder / "bin" / "yarn").write_text(YARN.format(python=sys.executable))
        (folder / "bin" / "yarn").chmod(0o700)
        with (folder / "up.log").open("wb") as log:
            up = subprocess.Popen(
                [sys.executable, "-m", "fleet", "up"],
                cwd=folder,
                env=os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        yield Machine(folder, strangers, listed, ports, up)
        family = descendants(up.pid)
        up.send_signal(signal.SIGINT)
        up.wait(timeout=120)
        assert not still_alive(family)
        left = [str(one.info["cmdline"]) for one in psutil.process_iter(["cmdline"])]
        assert not [one for one in left if str(folder / "state") in one]


def test_each_is_listed_with_who_it_is_in_its_swarm(machine: Machine) -> None:
    assert {name: one["kind"] for name, one in machine.listed.items()} == dict.fromkeys(RELEASES, "rl-swarm")
    for version, one in machine.listed.items():
        folder, swarm = machine.folder / version, one["swarm"]
        # The launch script of 0.4 is above its trainer, the forked child of the others below.
        assert one["pid"] == machine.strangers[version].pid
        assert swarm["identity_path"] == str(folder / "swarm.pem")
        assert swarm["peer_id"] == read_peer_id(folder / "swarm.pem")
        assert swarm["name"].startswith("adjective")
        assert (swarm["version"], swarm["contract"]) == (version, CONTRACTS[version])
        name = "swarm.log" if version == "0.4" else "swarm_launcher.log"
        assert one["progress"] == [{"log": {"path": str(folder / "logs" / name), "format": "rl_swarm"}}]
    assert SECRET not in (machine.folder / "peerwatch.yaml").read_text()


def told_and_logged(machine: Machine, version: str) -> tuple[dict[str, float], range]:
    """A page, and how many reports or rounds the log held meanwhile; of a busy machine a collection may be late."""
    folder, mark = machine.folder / version, "[PRINT] {'loss'" if version == "0.4" else "Starting round: "
    before = count(folder, mark)
    page = machine.page(version)
    return page, range(before - 1, count(folder, mark) + 1)


def has_stages_right(machine: Machine) -> bool:
    page, logged = told_and_logged(machine, "0.4")
    # Two steps lie between two reports, 30 reports in a round of three stages.
    reports = int(page["trainer_steps_total"] // 2)
    place = 30 * (page["swarm_round"] - 7) + 10 * page["swarm_stage"]
    return reports in logged and 0 <= reports - place <= 10 and page["trainer_reward_mean"] == 0.25


def has_rounds_right(machine: Machine, version: str) -> bool:
    page, logged = told_and_logged(machine, version)
    assert page["swarm_round"] == page["trainer_steps_total"]
    # The next round is joined before its work starts.
    return int(page["swarm_round"]) - 28238 in range(logged.start, logged.stop + 1)


def test_steps_rounds_reward_and_state_are_right_within_one_collection(machine: Machine) -> None:
    machine.wait(lambda: has_stages_right(machine), 60, "steps, rounds, stages and reward of 0.4")
    for version in RELEASES[1:]:
        machine.wait(lambda version=version: has_rounds_right(machine, version), 60, f"rounds of {version}")
        page = machine.page(version)
        assert page['trainer_progress_unit{unit="round"}'] == 1
        assert "trainer_reward_mean" not in page
    for version in RELEASES:
        assert machine.page(version)["trainer_up"] == 1
        assert machine.state(version) in ("training", "saving", "waiting")


def test_what_is_written_for_the_sidecar_is_what_the_list_says(machine: Machine) -> None:
    for version in RELEASES:
        watch = json.loads((machine.run_folder(version) / "watch.json").read_text())
        assert watch["swarm"] == machine.listed[version]["swarm"]


def test_instances_of_one_checkout_run_side_by_side(machine: Machine) -> None:
    for name in OWN:
        machine.wait(lambda name=name: machine.page(name)["trainer_steps_total"] > 28240, 60, f"rounds of {name}")
    trainers = [machine.trainer(name) for name in OWN]
    assert len({one.cwd() for one in trainers}) == len({one.environ()["IDENTITY_PATH"] for one in trainers}) == 2
    assert {one.environ()["ORG_ID"] for one in trainers} == {"org-of-ann"}
    login = machine.ports[-1]
    assert any(f"modal_proxy_url=http://localhost:{login}/api/" in word for word in trainers[0].cmdline())
    # Not both at once: their three-hourly submissions are of one account.
    (turns,) = (machine.folder / "state" / "login").glob("*/turns.json")
    first, second = json.loads(turns.read_text()).values()
    assert abs(first - second) >= 0.99
    machine.wait(lambda: get(f"http://{LOOPBACK}:{login}/").status_code == 200, 30, "the log-in server")
    assert not (machine.folder / "own" / "logs").exists()


def test_a_killed_one_is_started_again_without_its_orphans(machine: Machine) -> None:
    trainer, daemons = machine.trainer("two"), machine.p2pd("two")
    assert len(daemons) == 1
    trainer.kill()
    machine.wait(lambda: machine.trainer("two").pid != trainer.pid and len(machine.p2pd("two")) == 1, 60, "another")
    assert machine.p2pd("two") != daemons
    assert machine.trainer("one").is_running()
