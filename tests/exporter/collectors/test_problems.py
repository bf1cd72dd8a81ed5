"""Known problems of a trainer that runs are found in its log as it grows, and end with its progress."""

import json
import os
from pathlib import Path

import psutil
import pytest

from exporter.collectors.problems import QUIET_SECONDS, READ_BYTES, Collector
from exporter.config import SidecarConfig
from exporter.metrics import families
from exporter.problems.classes import MARKERS
from exporter.run_folder import write_process_record
from exporter.watch_file import read_watch
from tests.architecture import ROOT
from tests.exporter.problems.test_classes import SPELT

SAMPLES = ROOT.parent / "shared" / "samples" / "rl-swarm-0.4.3"
NOW = 1_800_000_000.0
REFUSED = "[genrl][ERROR] - Failed to submit to chain.\n"
CHAIN = "Could not fetch round and stage: 502 Server Error\n"
LINES, BEGIN, LAST = (
    "trainer_known_problem_lines_total",
    "trainer_known_problem_start_timestamp_seconds",
    "trainer_known_problem_timestamp_seconds",
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "trainer.log"
    path.write_text("Joining round: 7\n")
    return path


def write(log: Path, text: str, at: float = NOW) -> None:
    with log.open("a") as file:
        file.write(text)
    os.utime(log, (at, at))


def collect(collector: Collector, now: float) -> dict[tuple[str, str], float]:
    samples = collector.collect(now)
    families(samples)
    return {(sample.name, sample.labels["problem"]): sample.value for sample in samples}


def test_a_problem_is_counted_as_its_lines_come_and_lasts_until_the_trainer_progresses(log: Path) -> None:
    collector = Collector(log.parent)
    assert collect(collector, NOW) == {}
    write(log, CHAIN + CHAIN)
    found = collect(collector, NOW + 5)
    assert found == {(LINES, "chain_unreachable"): 2, (BEGIN, "chain_unreachable"): NOW + 5} | {
        (LAST, "chain_unreachable"): NOW + 5
    }
    write(log, CHAIN)
    found = collect(collector, NOW + 10)
    assert found[LINES, "chain_unreachable"] == 3
    assert (found[BEGIN, "chain_unreachable"], found[LAST, "chain_unreachable"]) == (NOW + 5, NOW + 10)
    write(log, "Joining round: 8\n")
    assert collect(collector, NOW + 15) == {(LINES, "chain_unreachable"): 3}


def test_progress_that_something_else_tells_ends_it_too(log: Path) -> None:
    """A report in another file, or the trainer's own telemetry."""
    steps = [NOW - 60.0]
    collector = Collector(log.parent, find_last_step=lambda now: steps[-1])
    collect(collector, NOW)
    write(log, CHAIN)
    assert (BEGIN, "chain_unreachable") in collect(collector, NOW + 5)
    assert (BEGIN, "chain_unreachable") in collect(collector, NOW + 10)
    steps.append(NOW + 12)
    assert (BEGIN, "chain_unreachable") not in collect(collector, NOW + 15)


def test_one_that_goes_on_beside_progress_lasts_until_the_log_is_quiet_about_it(log: Path) -> None:
    collector = Collector(log.parent)
    collect(collector, NOW)
    for minute in range(5):
        write(log, f"{REFUSED}Joining round: {minute}\n")
        found = collect(collector, NOW + 60 * minute)
    assert (found[BEGIN, "rewards_refused"], found[LAST, "rewards_refused"]) == (NOW, NOW + 240)
    assert (BEGIN, "rewards_refused") in collect(collector, NOW + 240 + QUIET_SECONDS)
    assert collect(collector, NOW + 241 + QUIET_SECONDS) == {(LINES, "rewards_refused"): 5}


def test_what_stood_in_the_log_before_the_sidecar_lasts_and_is_not_counted(log: Path) -> None:
    """Another sidecar has counted it; the trainer hangs all the same."""
    write(log, CHAIN, at=NOW - 900)
    write_process_record(log.parent)
    record = json.loads((log.parent / "process.json").read_text())
    (log.parent / "process.json").write_text(json.dumps(record | {"started_at": NOW - 3600}))
    assert collect(Collector(log.parent), NOW) == {
        (BEGIN, "chain_unreachable"): NOW - 900,
        (LAST, "chain_unreachable"): NOW - 900,
    }


def test_what_ended_the_process_before_is_no_problem_of_the_present_one(log: Path) -> None:
    write(log, "Exception occurred during game run.\n", at=NOW - 900)
    write_process_record(log.parent)
    record = json.loads((log.parent / "process.json").read_text())
    (log.parent / "process.json").write_text(json.dumps(record | {"started_at": NOW - 60}))
    collector = Collector(log.parent)
    assert collect(collector, NOW) == {}
    write(log, "Exception occurred during game run.\n" + REFUSED)
    assert (BEGIN, "ended_with_error") in collect(collector, NOW + 5)
    (log.parent / "process.json").write_text(json.dumps(record | {"started_at": NOW + 8}))
    found = collect(collector, NOW + 10)
    assert (BEGIN, "ended_with_error") not in found
    assert (BEGIN, "rewards_refused") in found


def test_a_line_in_console_and_log_is_one_line(tmp_path: Path, log: Path) -> None:
    beside = tmp_path / "swarm.log"
    beside.write_text("")
    collector = Collector(tmp_path, lambda: [beside])
    collect(collector, NOW)
    write(log, CHAIN)
    write(beside, CHAIN + CHAIN)
    assert collect(collector, NOW + 5)[LINES, "chain_unreachable"] == 2


def test_the_log_of_a_reader_is_followed(tmp_path: Path) -> None:
    watch = {"folder": str(tmp_path), "progress": [{"log": {"path": "logs/*.log"}}, {"jsonl": {"path": "x"}}]}
    (tmp_path / "watch.json").write_text(json.dumps(watch))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "run.log").write_text("")
    (tmp_path / "run").mkdir()
    collector = Collector.configured(SidecarConfig(tmp_path / "run", watch=read_watch(tmp_path / "watch.json")))
    collect(collector, NOW)
    write(tmp_path / "logs" / "run.log", REFUSED)
    assert collect(collector, NOW + 5)[LINES, "rewards_refused"] == 1


def test_the_log_of_the_login_server_beside_it_says_why_the_chain_refuses(tmp_path: Path) -> None:
    (tmp_path / "watch.json").write_text(
        json.dumps({"folder": str(tmp_path), "progress": [{"log": {"path": "x.log"}}]})
    )
    (tmp_path / "x.log").write_text("")
    (tmp_path / "run").mkdir()
    collector = Collector.configured(SidecarConfig(tmp_path / "run", watch=read_watch(tmp_path / "watch.json")))
    assert collect(collector, NOW) == {}
    (tmp_path / "yarn.log").write_text("Failed to call submitReward: InvalidRoundNumber\n")
    assert (BEGIN, "rewards_refused") in collect(collector, NOW + 5)
    write(tmp_path / "yarn.log", "UserOperation reverted during simulation with reason: AA25 invalid account nonce\n")
    write(tmp_path / "x.log", "Starting round: 8/1000000.\n")
    found = collect(collector, NOW + 10)
    assert found[LINES, "account_collision"] == 1
    assert (BEGIN, "account_collision") in found


def test_a_log_that_only_grows_by_problems_costs_little(log: Path) -> None:
    collector = Collector(log.parent)
    collect(collector, NOW)
    write(log, REFUSED * 200_000)
    before = psutil.Process().cpu_times().user
    assert 0 < collect(collector, NOW + 5)[LINES, "rewards_refused"] <= READ_BYTES / len(REFUSED) + 1
    assert psutil.Process().cpu_times().user - before < 0.5


def test_a_log_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    assert collect(Collector(tmp_path), NOW) == {}
    (tmp_path / "elsewhere.log").write_text(REFUSED)
    (tmp_path / "trainer.log").symlink_to(tmp_path / "elsewhere.log")
    assert collect(Collector(tmp_path), NOW) == {}


@pytest.mark.parametrize("line", [line for _, line in SPELT])
def test_each_known_line_is_looked_at(line: str) -> None:
    assert any(marker in line for marker in MARKERS)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the logs of real runs do not lie beside this checkout")
@pytest.mark.parametrize("name", ["two-peers-alfa", "two-peers-bravo"])
def test_a_real_run_without_problems_tells_none_as_it_grows(tmp_path: Path, name: str) -> None:
    """All that it writes, in pieces that cut its lines anywhere."""
    logs = {"trainer.log": SAMPLES / name / "console.log", "swarm.log": SAMPLES / name / "swarm.log"}
    collector = Collector(tmp_path, lambda: [tmp_path / "swarm.log"])
    contents = {tmp_path / log: source.read_bytes() for log, source in logs.items()}
    for log in contents:
        log.write_bytes(b"")
    pieces = 40
    for piece in range(pieces):
        for log, content in contents.items():
            size = len(content) // pieces + 1
            with log.open("ab") as file:
                file.write(content[piece * size : (piece + 1) * size])
        assert collect(collector, NOW + 5 * piece) == {}
