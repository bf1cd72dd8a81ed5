"""A sidecar that reads the progress of a trainer which does not report by itself."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from exporter.collectors import discover
from exporter.config import parse_arguments
from exporter.run_folder import read_process_record, write_process_record
from exporter.snapshot import Snapshot
from exporter.system.process_identity import identify
from exporter.watch_file import SwarmIdentity, read_watch


def write_watch(folder: Path, **content: Any) -> Path:
    path = folder / "watch.json"
    path.write_text(json.dumps({"folder": str(folder)} | content))
    return path


def serve(folder: Path, *, at: float | None = None) -> dict[str, float]:
    """What the sidecar's page has, by series."""
    config = parse_arguments(["--run-dir", str(folder), "--watch", str(folder / "watch.json")])
    snapshot = Snapshot(discover(config), constant=[], timeout_seconds=10)
    snapshot.refresh(at or time.time())
    lines = [line.rpartition(" ") for line in snapshot.page.plain.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_a_trainer_that_writes_jsonl_is_served_like_one_of_ours(tmp_path: Path) -> None:
    now = time.time()
    rows = [{"step": n, "time": now - 300 + 10 * n, "reward": n / 100, "loss": 0.1} for n in range(30)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_watch(tmp_path, progress=[{"jsonl": {"path": "metrics.jsonl", "step": "step", "time": "time"}}])
    write_process_record(tmp_path, identify(os.getpid()))
    page = serve(tmp_path)
    assert page["trainer_up"] == 1
    assert page["trainer_steps_total"] == 29
    assert page["trainer_reward_mean"] == 0.29
    assert page["trainer_last_step_timestamp_seconds"] == pytest.approx(now - 10)
    assert page['trainer_progress_up{reader="jsonl"}'] == 1
    assert page['trainer_state{trainer_state="training"}'] == 1
    assert page['sidecar_collector_success{collector="step_rate"}'] == 1


def test_readers_of_one_kind_are_numbered(tmp_path: Path) -> None:
    path = write_watch(tmp_path, progress=[{"log": {"path": "a"}}, {"log": {"path": "b"}}, {"jsonl": {"path": "c"}}])
    assert list(read_watch(path).readers) == ["log", "log-2", "jsonl"]


def test_a_peer_without_readers_has_a_process_and_no_progress(tmp_path: Path) -> None:
    write_watch(tmp_path)
    write_process_record(tmp_path, identify(os.getpid()))
    page = serve(tmp_path)
    assert page["trainer_progress_readers"] == 0
    assert page['trainer_memory_bytes{kind="rss"}'] > 0
    assert "trainer_steps_total" not in page


def test_who_the_trainer_is_in_its_swarm_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    assert read_watch(write_watch(tmp_path)).swarm is None
    path = write_watch(tmp_path, swarm={"version": "0.6.4", "identity_path": "/a/swarm.pem", "contract": None, "x": 1})
    assert read_watch(path).swarm == SwarmIdentity(version="0.6.4", identity_path="/a/swarm.pem")


def test_a_trainer_that_somebody_else_starts_is_found_at_each_start(tmp_path: Path) -> None:
    mark = f"marked-{os.getpid()}"
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", mark]
    write_watch(tmp_path, find={"command": mark})
    config = parse_arguments(["--run-dir", str(tmp_path), "--watch", str(tmp_path / "watch.json")])
    snapshot = Snapshot(discover(config), constant=[], timeout_seconds=10)

    def is_up() -> bool:
        snapshot.refresh(time.time())
        return b"\ntrainer_up 1" in snapshot.page.plain

    assert not is_up()
    for _ in range(2):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as trainer:
            assert trainer.stdout
            trainer.stdout.readline()
            assert is_up()
            record = read_process_record(tmp_path)
            assert record is not None
            assert record.identity.pid == trainer.pid
        assert not is_up()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"progress": [{"log": {}}]}, "path"),
        ({"progress": [{"fax": {}}]}, "'fax' is no reader; the readers are "),
        ({"progress": [{"log": {"path": "a"}}] * 9}, "9 readers; at most 8"),
        ({"progress": 7}, "not what a fleet writes"),
        ({"pace": {"floor": 1}}, "not what a fleet writes"),
        ({"find": ["a"]}, "not what a fleet writes"),
        ({"swarm": ["a"]}, "not what a fleet writes"),
        ({"swarm": {"contract": 7}}, "holds what is not a text"),
        ({"find": {"command": "("}}, "is no regular expression"),
    ],
)
def test_what_does_not_fit_is_one_line(
    content: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_watch(tmp_path, **content)
    with pytest.raises(SystemExit) as raised:
        parse_arguments(["--run-dir", str(tmp_path), "--watch", str(path)])
    assert raised.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "--watch" in last
    assert said in last
