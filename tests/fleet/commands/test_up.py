"""`peerwatch up` with real processes, where the trainer cannot start: it says so, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.fakes import arguments_of, descendants, still_alive, wait_for
from tests.fleet.commands.test_commands import ROOT, peerwatch
from tests.fleet.conftest import ports_text

CONFIG = """\
fleet: a
state_dir: Application Support
trainer: {device: cpu, rewards: ["reward.py:missing"]}
alerts: {interval: 1s, routes: [{name: hook, url: "json://${TOKEN}@127.0.0.1:9/"}]}
restart: {first_delay: 1s, limit: 1}
"""
# Only who runs it sees what is wrong.
REWARD = """\
def missing(completions, **_):
    return [0.0] * len(completions)

raise RuntimeError("missing on purpose")
"""


def test_a_trainer_that_cannot_start_is_shown_with_its_log_and_ends_in_status_1(tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text(REWARD)
    (tmp_path / "peerwatch.yaml").write_text(CONFIG + ports_text(1))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TOKEN": "hunter2"}
    log = tmp_path / "up.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "fleet", "up"], cwd=tmp_path, env=environment, stdout=sink, stderr=subprocess.STDOUT
        )
    try:
        wait_for(lambda: "peer:a-0 keeps failing and will not be restarted" in log.read_text(), 120, "it is given up")
        status = peerwatch("status", folder=tmp_path)
        assert status.returncode == 0
        assert status.stdout.startswith("a-0 failed")
        assert "peer:a-0 is EXITED" in status.stdout or "peer:a-0 is FATAL" in status.stdout
        family = descendants(process.pid)
        assert len(family) >= 3
        arguments = [argument for one in family for argument in arguments_of(one)]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=90)
    assert process.returncode == 1
    assert not still_alive(family)
    output = log.read_text()
    assert "missing" in output
    assert "Traceback" not in output
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]
    assert not [argument for argument in arguments if "hunter2" in argument]


def test_a_killed_up_takes_its_whole_fleet_with_it(tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text(REWARD)
    (tmp_path / "peerwatch.yaml").write_text(CONFIG + ports_text(1))
    process = subprocess.Popen(
        [sys.executable, "-m", "fleet", "up"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TOKEN": "hunter2"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(lambda: _runs(process.pid, "exporter", "alerts"), 60, "the fleet's processes")
        family = descendants(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
    wait_for(lambda: not still_alive(family), 30, "the end of what the killed process had started")


def _runs(pid: int, *modules: str) -> bool:
    lines = [arguments_of(one) for one in descendants(pid)]
    return all(
        any(["-m", module] == line[index : index + 2] for line in lines for index in range(len(line)))
        for module in modules
    )
