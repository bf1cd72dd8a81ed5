"""Trainers that somebody else started are found, watched without a restart, and each silence is the right one's."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.strangers import SECRET, Stranger, list_trainers, make_swarm, make_trl, run_server
from tests.fakes import LOOPBACK, PATIENCE, descendants, get, reserve_ports, still_alive, wait_for

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="compares start ticks of /proc"),
]

FIXED_LIMITS_MINUTES = (5, 10, 15)
# Between two stops, so that each alert can be told from what an earlier stop caused.
STAGGER_SECONDS = 3.0


@dataclass
class Machine:
    """`amber` is TRL, `basalt` TRL that generates by a server, `cobalt` an rl-swarm."""

    folder: Path
    strangers: dict[str, Stranger]
    server: subprocess.Popen[bytes]
    ports: list[int]
    up: subprocess.Popen[bytes] | None = None
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)
    before: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def write_settings(self) -> None:
        """What an owner adds to the file that `attach` has made: ports of this test, short intervals."""
        file = self.folder / "peerwatch.yaml"
        first, *_, page = self.ports
        more = f"state_dir: {self.folder}/state\nsidecar_interval: 1s\nports: {{sidecar: {first}, alerts: {page}}}\n"
        alerts = "alerts:\n  interval: 1s\n  rules: {PeerStalled: {recover_after: 0s}}\n"
        file.write_text(more + file.read_text().replace("alerts:\n", alerts))

    def sidecar(self, name: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[0] + list(self.strangers).index(name)}"

    def status(self) -> dict[str, Any]:
        return get(f"http://{LOOPBACK}:{self.ports[-1]}/api/status").raise_for_status().json()

    def peers(self) -> dict[str, dict[str, Any]]:
        return {one["peer"]: one for one in self.status()["peers"]}

    def firing(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The alerts of the peers; those of the machine are not this test's."""
        found = {(one["rule"], one["peer"]): one for one in self.status()["alerts"] if one["state"] == "firing"}
        return {key: one for key, one in found.items() if key[1] in self.strangers}

    def process_of(self, name: str) -> int:
        """The process that the peer's sidecar watches."""
        record = json.loads((self.folder / "state" / "peers" / name / "process.json").read_text())
        return int(record["pid"])

    def attach(self, name: str, *options: str) -> str:
        command = [sys.executable, "-m", "fleet", "attach", str(self.strangers[name].pid), "--name", name, *options]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_up(self) -> None:
        with (self.folder / "up.log").open("wb") as log:
            self.up = subprocess.Popen(
                [sys.executable, "-m", "fleet", "up"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self, check: Callable[[], object], seconds: float, what: str) -> None:
        """`wait_for`, patient while the alert loop starts, with the fleet's own output in the failure."""

        def patiently() -> object:
            assert self.up is not None
            assert self.up.poll() is None, (self.folder / "up.log").read_text()
            try:
                return check()
            except (httpx.HTTPError, OSError, ValueError, KeyError):
                return None

        wait_for(patiently, seconds, f"{what}\n{(self.folder / 'up.log').read_text()}")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """All run, the first one is in the file; `up` watches, and the others are added while it does."""
    folder = tmp_path_factory.mktemp("machine")
    with ExitStack() as stack:
        server, url = stack.enter_context(run_server(folder))
        strangers: dict[str, Stranger] = {}
        for name, make in (
            ("amber", make_trl),
            ("basalt", lambda where: make_trl(where, url)),
            ("cobalt", make_swarm),
        ):
            strangers[name] = make(folder / name)
            stack.callback(strangers[name].end)
        # The daemon of the swarm's DHT, which a child starts while the trainer goes on.
        wait_for(lambda: len(strangers["cobalt"].tree()) == 4, 60, "the swarm's processes")
        sleep = stack.enter_context(subprocess.Popen(["sleep", "600"], cwd=folder / "amber"))
        stack.callback(sleep.kill)
        machine = Machine(folder, strangers, server, reserve_ports(4))
        wait_for(lambda: all(_has_begun(one) for one in strangers.values()), 60, "every trainer has begun")
        machine.before = {name: one.identities() for name, one in strangers.items()}
        machine.listed = {Path(str(one["folder"])).name: one for one in list_trainers(folder)}
        yield machine
        if machine.up is not None:
            family = descendants(machine.up.pid)
            machine.up.send_signal(signal.SIGINT)
            machine.up.wait(timeout=120)
            assert not still_alive(family)


def _has_begun(stranger: Stranger) -> bool:
    logs = (stranger.folder / "train.log", stranger.folder / "logs" / "swarm.log")
    return any(b"1/100000" in log.read_bytes() or b"[PRINT]" in log.read_bytes() for log in logs if log.exists())


def test_exactly_the_trainers_are_listed_with_what_can_be_read(machine: Machine) -> None:
    assert {name: one["kind"] for name, one in machine.listed.items()} == {
        "amber": "trl",
        "basalt": "trl",
        "cobalt": "rl-swarm",
    }
    for name, one in machine.listed.items():
        assert one["pid"] == machine.strangers[name].pid
        assert (one["notes"], one["watched"]) == ([], False)
    folder = machine.folder
    assert machine.listed["amber"]["progress"] == [
        {"log": {"path": str(folder / "amber" / "train.log"), "format": "transformers"}},
        {"checkpoints": {"path": str(folder / "amber" / "out")}},
    ]
    log = {"path": str(folder / "cobalt" / "logs" / "swarm.log"), "format": "rl_swarm"}
    assert machine.listed["cobalt"]["progress"] == [{"log": log}]


def test_all_are_watched_without_a_restart(machine: Machine) -> None:
    machine.attach("amber", "--no-start")
    machine.write_settings()
    machine.start_up()
    machine.wait(lambda: machine.peers()["amber"]["steps_total"], 30, "steps of the peer that is in the file")
    for name in ("basalt", "cobalt"):
        assert "the running `peerwatch up` watches them from now on" in machine.attach(name)
    assert SECRET not in (machine.folder / "peerwatch.yaml").read_text()
    machine.wait(
        lambda: {name for name, one in machine.peers().items() if one["steps_total"]} == set(machine.strangers),
        30,
        "steps of all",
    )
    assert {name: machine.process_of(name) for name in machine.strangers} == {
        name: one.pid for name, one in machine.strangers.items()
    }
    assert {name: one.identities() for name, one in machine.strangers.items()} == machine.before


@dataclass
class Silence:
    """Of one trainer that was made to hang: when, and what its alert said; times are Unix times."""

    stopped_at: float
    allowance: float
    allowance_at_rest: float
    last_step_at: float = 0.0
    fired_at: float = 0.0
    summary: str = ""
    resolved_at: float = 0.0


@pytest.fixture(scope="module")
def silences(machine: Machine) -> dict[str, Silence]:
    """Two trainers stop, and the server of the third while it generates; one after the other, and then all go on."""
    machine.wait(lambda: all(_allowance(machine, name) < 60 for name in machine.strangers), 30, "the pace of all")
    assert not machine.firing()
    silences: dict[str, Silence] = {}
    seen: set[tuple[str, str]] = set()

    def look() -> None:
        for key, alert in machine.firing().items():
            seen.add(key)
            silence = silences.get(key[1])
            # An alert of a peer that works is seen by its rule and name alone.
            if silence is not None and not silence.fired_at:
                silence.fired_at, silence.summary = time.time(), alert["summary"]

    stops: dict[str, Callable[[], None]] = {
        "amber": lambda: machine.strangers["amber"].signal(signal.SIGSTOP),
        "cobalt": lambda: machine.strangers["cobalt"].signal(signal.SIGSTOP),
        "basalt": lambda: _stop_while_it_generates(machine),
    }
    try:
        for name, stop in stops.items():
            stop()
            stopped_at = time.time()
            until = time.monotonic() + STAGGER_SECONDS
            while time.monotonic() < until:
                look()
                time.sleep(0.3)
            silences[name] = Silence(stopped_at, _allowance(machine, name), _allowance(machine, name, "at_rest_"))

        def have_all_fired() -> bool:
            look()
            return all(one.fired_at for one in silences.values())

        machine.wait(have_all_fired, 30, "PeerStalled of each")
        # By now the last step of each has long been served, by the sidecar and by the page.
        for name, silence in silences.items():
            silence.last_step_at = machine.peers()[name]["last_step_timestamp"]
    finally:
        for one in machine.strangers.values():
            one.signal(signal.SIGCONT)
        machine.server.send_signal(signal.SIGCONT)

    def have_all_resolved() -> bool:
        look()
        firing = {peer for _, peer in machine.firing()}
        for name, silence in silences.items():
            if name not in firing and not silence.resolved_at:
                silence.resolved_at = time.time()
        return not firing

    machine.wait(have_all_resolved, 30, "no alert")
    # What a busy machine shows of a trainer's last work may first look like work without progress.
    assert seen - {("ProgressMissing", name) for name in stops} == {("PeerStalled", name) for name in stops}
    return silences


def _stop_while_it_generates(machine: Machine) -> None:
    generating = machine.folder / "generating"
    for _ in range(50):
        wait_for(generating.exists, 10, "a generation", every=0.005)
        machine.server.send_signal(signal.SIGSTOP)
        if generating.exists():
            return
        machine.server.send_signal(signal.SIGCONT)
    raise AssertionError("the server never stopped while it generated")


def _allowance(machine: Machine, name: str, kind: str = "") -> float:
    """The silence that the peer is allowed, in seconds, as its sidecar serves it; `at_rest_` where it rests."""
    page = get(f"{machine.sidecar(name)}/metrics").raise_for_status().text
    metric = f"trainer_stall_{kind}after_seconds "
    return next(float(line.split()[1]) for line in page.splitlines() if line.startswith(metric))


def test_each_stop_is_reported_for_the_right_one_and_no_other(silences: dict[str, Silence]) -> None:
    for silence in silences.values():
        # An alert that another's stop had caused would come earlier.
        assert silence.stopped_at - 2 * STAGGER_SECONDS / 3 < silence.last_step_at
        assert silence.fired_at > silence.last_step_at + min(silence.allowance, silence.allowance_at_rest)
        assert silence.resolved_at > silence.fired_at
        assert "CPU idle" in silence.summary
    order = sorted(silences, key=lambda name: silences[name].last_step_at)
    assert order == list(silences)


def test_a_generation_that_hangs_is_reported_before_any_fixed_limit(silences: dict[str, Silence]) -> None:
    silence = silences["basalt"]
    reported_after = silence.fired_at - silence.last_step_at
    assert reported_after < silence.allowance + 10 * PATIENCE
    # A watchdog with a fixed limit sees the age of the last line of the log.
    fixed = {f"{minutes} min": 60.0 * minutes for minutes in FIXED_LIMITS_MINUTES}
    shown = ", ".join(f"{name}: {limit:.0f} s" for name, limit in fixed.items())
    print(f"a hanging generation: reported after {reported_after:.1f} s; with a fixed limit of {shown}")
    assert reported_after < min(fixed.values())


def test_one_that_its_owner_starts_again_is_found_again(machine: Machine, silences: dict[str, Silence]) -> None:
    stranger = machine.strangers["cobalt"]
    before = machine.peers()["cobalt"]["steps_total"]
    stranger.end()
    machine.wait(lambda: machine.peers()["cobalt"]["up"] is False, 15, "its end")
    stranger.start()
    machine.wait(lambda: machine.process_of("cobalt") == stranger.pid, 15, "its process")
    machine.wait(lambda: machine.peers()["cobalt"]["last_step_timestamp"] > _started(stranger), 15, "its steps")
    assert machine.peers()["cobalt"]["up"] is True
    assert before
    others = {name: one.identities() for name, one in machine.strangers.items() if name != "cobalt"}
    assert others == {name: machine.before[name] for name in others}


def _started(stranger: Stranger) -> float:
    return psutil.Process(stranger.pid).create_time()
