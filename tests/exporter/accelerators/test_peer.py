"""What a peer has of the accelerators: by its own processes, and whether it works there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.accelerators.peer import AFTER_TRAINER_SECONDS, PeerAccelerator, Share, is_busy, tells_pids
from exporter.accelerators.reading import Device, Process, Reading
from exporter.run_folder import write_process_record
from exporter.system.process_identity import identify

GIB = 2**30
POWERED = {"power_watts": 300.0, "power_limit_watts": 450.0}


def device(name: str, *processes: Process, problem: str = "", utilization: float = 0.5, **values: float) -> Device:
    return Device(name, "RTX", problem, {"utilization_ratio": utilization, **values}, processes=processes)


class Machine:
    """A probe whose answer the test decides."""

    def __init__(self, run_dir: Path, *, is_on_cpu: bool = False) -> None:
        self.reading: Reading | None = None
        self.asked = 0
        self.peer = PeerAccelerator(
            run_dir, lambda _now: is_on_cpu, find_kind=lambda: "nvidia", open_probe=lambda _kind: self.ask
        )

    def ask(self, now: float) -> Reading | None:
        self.asked += 1
        return self.reading


@pytest.fixture
def trainer(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A trainer with a child of its own."""
    code = "import subprocess, sys; one = subprocess.Popen(['cat']); print(one.pid, flush=True); one.wait()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    write_process_record(tmp_path, identify(process.pid))
    yield process
    process.communicate()


@pytest.fixture
def pids(trainer: subprocess.Popen[bytes]) -> tuple[int, int]:
    assert trainer.stdout is not None
    return trainer.pid, int(trainer.stdout.readline())


@pytest.fixture(autouse=True)
def outside_of_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.accelerators.peer.tells_pids", lambda: True)


def test_a_peer_has_what_its_process_tree_has(tmp_path: Path, pids: tuple[int, int]) -> None:
    parent, child = pids
    machine = Machine(tmp_path)
    machine.reading = Reading(
        1.0,
        (
            device("GPU-a", Process(parent, 2.0 * GIB, 0.5), Process(child, 1.0 * GIB, 0.25), Process(1, 9.0 * GIB, 1)),
            device("GPU-b", Process(1, 9.0 * GIB, 1)),
        ),
    )
    found = machine.peer.read(1.0)
    assert found is not None
    assert [one.device for one in found.devices] == ["GPU-a"], "the other one is no affair of this peer's"
    assert found.shares == {"GPU-a": Share(3.0 * GIB, 0.75)}
    assert found.is_busy is True


def test_a_lost_card_stays_that_of_the_peer_that_was_on_it(tmp_path: Path, pids: tuple[int, int]) -> None:
    machine = Machine(tmp_path)
    machine.reading = Reading(1.0, (device("GPU-a", Process(pids[0], 1.0)), device("GPU-b")))
    machine.peer.read(1.0)
    machine.reading = Reading(16.0, (Device("GPU-a", "RTX", "lost"), Device("GPU-b", "RTX", "lost")))
    found = machine.peer.read(16.0)
    assert found is not None
    assert [(one.device, one.problem) for one in found.devices] == [("GPU-a", "lost")]
    assert found.is_busy is None


def test_time_on_the_gpu_is_a_share_between_two_answers(tmp_path: Path, pids: tuple[int, int]) -> None:
    machine = Machine(tmp_path)
    shares = []
    for at, seconds in ((10.0, 100.0), (10.0, 100.0), (25.0, 106.0), (40.0, 106.0)):
        machine.reading = Reading(at, (device("apple-0", Process(pids[0], busy_seconds=seconds), Process(1)),))
        found = machine.peer.read(at + len(shares) / 10)
        assert found is not None
        shares.append((found.shares["apple-0"].utilization, found.is_busy))
    assert shares == [(None, None), (None, None), (pytest.approx(0.4), True), (0.0, False)]


def test_one_collection_asks_once(tmp_path: Path, pids: tuple[int, int]) -> None:
    machine = Machine(tmp_path)
    machine.peer.read(1.0)
    machine.peer.read(1.0)
    assert machine.asked == 1


def test_a_trainer_on_the_processor_wakes_no_card(tmp_path: Path, pids: tuple[int, int]) -> None:
    machine = Machine(tmp_path, is_on_cpu=True)
    assert machine.peer.read(1.0) is None
    assert machine.asked == 0


def test_a_card_is_asked_for_some_time_after_its_trainer_has_ended(
    tmp_path: Path, trainer: subprocess.Popen[bytes], pids: tuple[int, int]
) -> None:
    machine = Machine(tmp_path)
    machine.reading = Reading(1.0, (Device("GPU-a", "RTX", "lost"),))
    machine.peer.read(1.0)
    trainer.communicate()
    assert machine.peer.read(AFTER_TRAINER_SECONDS) is not None
    assert machine.peer.read(AFTER_TRAINER_SECONDS + 1) is None
    assert machine.asked == 2


def test_without_a_trainer_no_card_is_asked(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.peer.read(1.7e9) is None
    assert machine.asked == 0


OWN, OTHER = Process(7, 1.0), Process(8, 1.0)


@pytest.mark.parametrize(
    ("found", "used", "own", "expected"),
    [
        pytest.param(device("a", OWN, OTHER), 0.3, (OWN,), True, id="its share is told"),
        pytest.param(device("a", OWN, OTHER, utilization=1.0), 0.0, (OWN,), False, id="the others work"),
        pytest.param(device("a", OWN), None, (OWN,), True, id="alone on a busy device"),
        pytest.param(device("a", OWN, utilization=0.0), None, (OWN,), False, id="alone on an idle device"),
        pytest.param(device("a", OWN, OTHER), None, (OWN,), None, id="with others on a busy device"),
        pytest.param(device("a", utilization=0.01), None, (), False, id="nobody is told, and it is idle"),
        pytest.param(device("a"), None, (), None, id="nobody is told, and it is busy"),
        pytest.param(device("a", OWN, utilization=1.0, **POWERED), 1.0, (OWN,), True, id="at full power"),
        pytest.param(
            device("a", OWN, utilization=1.0, power_watts=90, power_limit_watts=450), 1.0, (OWN,), None, id="it spins"
        ),
        pytest.param(device("a", OWN, problem="lost"), None, (OWN,), None, id="lost"),
    ],
)
def test_a_peer_works_where_its_processes_do(
    found: Device, used: float | None, own: tuple[Process, ...], expected: bool | None
) -> None:
    shares = {"a": Share(None, used)} if own else {}
    assert is_busy([found], shares, {"a": own}) is expected


def test_a_containers_pids_are_not_the_drivers(tmp_path: Path) -> None:
    (tmp_path / "self" / "ns").mkdir(parents=True)
    for number, expected in (("4026531836", True), ("4026532458", False)):
        link = tmp_path / "self" / "ns" / "pid"
        link.unlink(missing_ok=True)
        os.symlink(f"pid:[{number}]", link)
        assert tells_pids(system="linux", proc=tmp_path) is expected
    assert tells_pids(system="darwin", proc=tmp_path)
