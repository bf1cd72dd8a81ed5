"""Services under supervisord: installed, changed, killed at random, and removed without a trace.

`make test` kills each kind of process, and some again; `make bench` kills fifty.
"""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.services import Services
from tests.fakes import PATIENCE, descendants, still_alive, wait_for

pytestmark = pytest.mark.e2e


# Each of these is killed; the others are children and helpers of theirs.
KINDS = {"p2pd", "launcher", "alerts", "exporter", "exporter.leaderboard", "trainer"}


def kind_of(process: psutil.Process) -> str:
    """Which part of the fleet a process is; children that are no p2pd count as their program's."""
    if process.name() == "p2pd":
        return "p2pd"
    command = process.cmdline()
    if command[1:3] == ["-m", "fleet.processes.launch"]:
        return "launcher"
    is_main = len(command) > 2 and command[1] == "-m" and process.parent() and process.parent().ppid() == 1
    return command[2] if is_main else "child"


def kill_at_random(services: Services, seed: int, kills: int) -> Counter[str]:
    """SIGKILL, one process at a time, of each of `KINDS`, then of any, launchers now and then; how many of each.

    What is being started again is waited for, where it was not killed yet.
    """
    draw = random.Random(seed)
    killed: Counter[str] = Counter()
    deadline = time.monotonic() + 60 * PATIENCE
    while killed.total() < kills:
        time.sleep(draw.uniform(0.1, 0.6))
        by_kind: dict[str, list[psutil.Process]] = {}
        for process in services.owned():
            # One that ends meanwhile says nothing of the others.
            with contextlib.suppress(psutil.Error):
                by_kind.setdefault(kind_of(process), []).append(process)
        assert time.monotonic() < deadline, f"killed {dict(killed)}, there is {by_kind}"
        if killed["launcher"] >= kills // 5:
            by_kind.pop("launcher", None)
        missing = KINDS - set(killed)
        kinds = sorted(missing & set(by_kind)) if missing else sorted(by_kind)
        if kinds:
            kind = draw.choice(kinds)
            with contextlib.suppress(psutil.Error):
                draw.choice(by_kind[kind]).kill()
                killed[kind] += 1
    return killed


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    services = Services.of(tmp_path / "a fleet 100% é", ["amber"])
    yield services
    left = services.owned()
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    if services.state.service_record.exists():
        services.peerwatch("services", "uninstall", "--force")


@pytest.mark.parametrize("kills", [9, pytest.param(50, marks=pytest.mark.bench)])
def test_random_kills_leave_a_whole_fleet_and_no_orphan(services: Services, kills: int) -> None:
    services.peerwatch("services", "install", "--manager", "supervisor")
    wait_for(lambda: services.steps("amber") > 2, 60, "the peer trains")
    supervisord = int((services.state.root / "supervisord.pid").read_text())
    killed = kill_at_random(services, seed=5, kills=kills)
    print(f"killed {dict(killed)}")
    assert set(killed) >= KINDS

    def is_whole() -> bool:
        try:
            is_training = services.trainer_pid("amber") in below() and services.steps("amber") > 2
            return (
                is_training and services.listening() == set(services.ports) and services.peerwatch("services", "status")
            )
        except (OSError, AssertionError, psutil.Error):
            return False

    def below() -> set[int]:
        return {process.pid for process in descendants(supervisord)}

    wait_for(is_whole, 60, "everything is restarted, and the peer trains", every=1)
    wait_for(lambda: {one.pid for one in services.owned()} <= below(), 30, "nothing of it runs outside of supervisord")
    owned, manager = services.owned(), psutil.Process(supervisord)

    services.peerwatch("services", "uninstall")
    assert not still_alive([manager, *owned])
    assert not services.listening()
    assert not services.state.services.exists()
