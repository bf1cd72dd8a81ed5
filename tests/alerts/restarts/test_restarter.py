"""The restarter restarts for firing alerts, keeps its decisions, and touches no other peer."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from alerts.engine.evaluate import AlertStates, Key
from alerts.engine.state import AlertState
from alerts.restarts.policy import RestartPolicy
from alerts.restarts.records import Records
from alerts.restarts.restarter import Restarter, add_record, find_save
from alerts.scraping.page import Page, parse
from alerts.store import Store
from tests.alerts.conftest import AlertLoop, Sidecar
from tests.fakes import still_alive, wait_for

NOW = 1_700_000_000.0
STALLED = Key("PeerStalled", "a")
FIRING = AlertStates({STALLED: AlertState("firing", "critical", NOW - 60, "No progress for 1 min.")})
PAGE = parse(f"trainer_start_timestamp_seconds {NOW - 900}\n")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "alerts.sqlite")
    yield store
    store.close()


@pytest.fixture
def trainers(tmp_path: Path) -> Iterator[dict[str, psutil.Process]]:
    """Two processes that wait, as the trainers of two run folders."""
    programs, found = [], {}
    for name in ("a", "b"):
        program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        programs.append(program)
        found[name] = psutil.Process(program.pid)
        (tmp_path / name).mkdir()
        record = {"pid": program.pid, "create_time": found[name].create_time()}
        (tmp_path / name / "process.json").write_text(json.dumps(record))
        (tmp_path / name / "trainer.log").write_text("step 7\ntoken=hunter2\n")
    yield found
    for program in programs:
        program.kill()
        program.wait()


@pytest.fixture
def make(tmp_path: Path, store: Store) -> Callable[..., Restarter]:
    def make(*rules: str, left: frozenset[str] = frozenset()) -> Restarter:
        run_dirs = {name: tmp_path / name for name in ("a", "b")}
        return Restarter(RestartPolicy(), rules or ("PeerStalled",), run_dirs, run_dirs.keys() - left, Records(store))

    return make


def _ended(process: psutil.Process) -> Callable[[], bool]:
    return lambda: not still_alive([process])


def test_a_stalled_peer_is_ended_and_what_it_did_is_kept(
    make: Callable[..., Restarter], trainers: dict[str, psutil.Process], tmp_path: Path
) -> None:
    make().consider(FIRING, {"a": PAGE, "b": PAGE}, (), NOW)
    wait_for(_ended(trainers["a"]), 10, "the stalled peer's process has ended")
    assert still_alive([trainers["b"]])
    kept = (tmp_path / "a" / "restart.log").read_text()
    assert "step 7" in kept
    assert "hunter2" not in kept


def test_a_restart_is_remembered_by_the_next_loop(
    make: Callable[..., Restarter], trainers: dict[str, psutil.Process]
) -> None:
    make().consider(FIRING, {"a": PAGE}, (), NOW)
    wait_for(_ended(trainers["a"]), 10, "the stalled peer's process has ended")
    record = make().records["a"]
    assert (record.phase, record.rule, record.past) == ("restarting", "PeerStalled", (NOW,))


@pytest.mark.parametrize(
    ("rules", "pages", "hidden"),
    [
        (("MemoryExceeded",), {"a": PAGE}, ()),
        (("PeerStalled",), {"a": PAGE}, (STALLED,)),
        (("PeerStalled",), {"a": None}, ()),
        (("PeerStalled",), {}, ()),
    ],
    ids=["not enabled", "silenced or acknowledged", "not scraped", "not a target"],
)
def test_a_peer_is_not_restarted_otherwise(
    make: Callable[..., Restarter],
    trainers: dict[str, psutil.Process],
    rules: tuple[str, ...],
    pages: dict[str, Page | None],
    hidden: tuple[Key, ...],
) -> None:
    restarter = make(*rules)
    restarter.consider(FIRING, pages, hidden, NOW)
    assert not restarter.records
    assert len(still_alive(list(trainers.values()))) == 2


def test_a_peer_that_nobody_would_start_again_is_never_ended(
    make: Callable[..., Restarter], trainers: dict[str, psutil.Process], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        restarter = make(left=frozenset({"a"}))
    restarter.consider(FIRING, {"a": PAGE, "b": PAGE}, (), NOW)
    assert not restarter.records
    assert len(still_alive(list(trainers.values()))) == 2
    assert [one.getMessage() for one in caplog.records] == [
        "no rule restarts a: somebody else starts and restarts them"
    ]


def test_the_loop_leaves_a_target_alone_that_is_not_restartable(
    make_loop: Callable[..., AlertLoop], sidecar: Sidecar, trainers: dict[str, psutil.Process], tmp_path: Path
) -> None:
    targets = [
        {"peer": name, "url": sidecar.url, "run_dir": str(tmp_path / name), "restartable": name == "b"}
        for name in ("a", "b")
    ]
    sidecar.serve(last_step=time.time() - 100, phase_start=time.time() - 200)
    loop = make_loop({}, targets=targets, rules={"PeerStalled": {"restart": True}})
    loop.start()
    wait_for(_ended(trainers["b"]), 20, "the other peer's process has ended")
    assert still_alive([trainers["a"]])
    assert loop.output().count("no rule restarts a: somebody else starts and restarts them") == 1


def test_a_peer_that_is_no_longer_restarted_keeps_no_other_waiting(
    make: Callable[..., Restarter], trainers: dict[str, psutil.Process]
) -> None:
    make().consider(FIRING, {"a": PAGE}, (), NOW)
    wait_for(_ended(trainers["a"]), 10, "the stalled peer's process has ended")
    restarter = make(left=frozenset({"a"}))
    assert restarter.records["a"].phase == "idle"
    other = AlertStates({Key("PeerStalled", "b"): FIRING.states[STALLED]})
    restarter.consider(other, {"a": PAGE, "b": PAGE}, (), NOW + 1)
    assert restarter.records["b"].phase == "restarting"
    wait_for(_ended(trainers["b"]), 10, "the other's process has ended")


def test_the_rules_see_the_phase_of_the_restart(
    make: Callable[..., Restarter], trainers: dict[str, psutil.Process]
) -> None:
    restarter = make()
    restarter.consider(FIRING, {"a": PAGE}, (), NOW)
    wait_for(_ended(trainers["a"]), 10, "the stalled peer's process has ended")
    page = add_record(PAGE, restarter.records["a"])
    assert page is not None
    assert page.value("alerts_restart_phase", phase="restarting") == 1
    assert add_record(PAGE, None) is PAGE


ROTATE = """
import os
import sys

print("begun", flush=True)
while True:
    os.mkdir(sys.argv[1])
    os.utime(sys.argv[1], (1, 1))
    os.rmdir(sys.argv[1])
"""


def test_a_checkpoint_that_is_deleted_meanwhile_hides_no_other(tmp_path: Path) -> None:
    """The trainer's last publish counts only where it has saved nothing."""
    kept = tmp_path / "checkpoints" / "checkpoint-1"
    kept.mkdir(parents=True)
    os.utime(kept, (NOW, NOW))
    page = parse(f"swarm_last_publish_timestamp_seconds {NOW + 5}\n")
    command = [sys.executable, "-c", ROTATE, str(kept.with_name("checkpoint-2"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as trainer:
        assert trainer.stdout
        trainer.stdout.readline()
        found = {find_save(page, tmp_path) for _ in range(5000)}
        trainer.kill()
    assert NOW in found
    assert NOW + 5 not in found
