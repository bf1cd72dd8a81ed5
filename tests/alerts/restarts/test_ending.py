"""One trainer's processes are ended, whatever they do, and no others."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from alerts.restarts.ending import end_trainer
from exporter.system.process_identity import identify
from tests.fakes import descendants, still_alive, wait_for

POLITE = "import subprocess, sys, time\nsubprocess.Popen(['sleep', '300'])\nprint('up', flush=True)\ntime.sleep(300)\n"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + POLITE


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str, str], psutil.Process]]:
    """Starts a program with a child as the trainer of a run folder."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, code: str) -> psutil.Process:
        program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        started.append(program)
        assert program.stdout is not None
        program.stdout.readline()
        (tmp_path / name).mkdir()
        process = psutil.Process(program.pid)
        # The boot time has moved since, and with it the start time of every process.
        record = identify(process.pid).as_record()
        record["create_time"] = process.create_time() - (300 if sys.platform == "linux" else 0)
        (tmp_path / name / "process.json").write_text(json.dumps(record))
        return process

    yield start
    for program in started:
        for child in descendants(program.pid):
            child.kill()
        program.kill()
        program.communicate()


@pytest.mark.parametrize("code", [POLITE, DEAF])
def test_a_trainer_ends_with_its_children_and_its_sibling_goes_on(
    start: Callable[[str, str], psutil.Process], tmp_path: Path, code: str
) -> None:
    trainer, sibling = start("a", code), start("b", POLITE)
    tree = [trainer, *trainer.children(recursive=True)]
    assert len(tree) == 2
    assert end_trainer(tmp_path / "a", grace_seconds=1.0)
    wait_for(lambda: not still_alive(tree), 5, "the trainer's processes have ended")
    assert len(still_alive([sibling, *sibling.children()])) == 2


def test_a_trainer_that_is_stopped_ends_all_the_same(
    start: Callable[[str, str], psutil.Process], tmp_path: Path
) -> None:
    trainer = start("a", POLITE)
    trainer.suspend()
    began = time.monotonic()
    assert end_trainer(tmp_path / "a", grace_seconds=600.0)
    assert time.monotonic() - began < 300


@pytest.mark.parametrize("known", [("pid", "create_time"), ("pid", "create_time", "start_ticks", "boot_id")])
def test_another_process_with_the_recorded_number_is_left_alone(
    start: Callable[[str, str], psutil.Process], tmp_path: Path, known: tuple[str, ...]
) -> None:
    stranger = start("a", POLITE)
    found = identify(stranger.pid)
    other = found._replace(create_time=found.create_time - 100, start_ticks=(found.start_ticks or 0) - 1)
    record = {name: value for name, value in other.as_record().items() if name in known}
    (tmp_path / "a" / "process.json").write_text(json.dumps(record))
    assert not end_trainer(tmp_path / "a")
    assert stranger.is_running()
