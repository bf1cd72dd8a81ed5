"""A trainer that somebody else starts is found by its criteria, after a restart too, and nothing else is."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from exporter.attached_process import AttachedProcess, Criteria, is_about_commands, parse_unit

# Says that it runs, starts itself again below if it is told to, and waits for its input to end.
SCRIPT = """
import subprocess, sys
worker = [sys.executable, *sys.argv[:1], "worker"]
child = subprocess.Popen(worker, stdin=subprocess.PIPE) if sys.argv[1:] == ["top"] else None
print("runs", flush=True)
sys.stdin.read()
if child:
    child.stdin.close()
    child.wait()
"""


class Trainer:
    """A real process in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str, name: str = "train.py") -> None:
        (folder / name).write_text(SCRIPT)
        self._process = subprocess.Popen(
            [sys.executable, name, *arguments], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "runs\n"
        self.pid = self._process.pid

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[Trainer]:
    started = Trainer(tmp_path, "top")
    yield started
    started.end()


def pid_of(process: psutil.Process | None) -> int | None:
    return process.pid if process is not None else None


def find(**criteria: object) -> int | None:
    return pid_of(AttachedProcess(Criteria(**criteria)).find(time.time()))  # type: ignore[arg-type]


def test_the_top_most_process_of_a_folder_and_a_command_is_found(trainer: Trainer, tmp_path: Path) -> None:
    assert find(folder=tmp_path, command=r"train\.py") == trainer.pid
    assert find(folder=tmp_path) == trainer.pid
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert find(folder=link, command=r"train\.py") == trainer.pid


def test_nothing_else_is_found(trainer: Trainer, tmp_path: Path) -> None:
    assert find(folder=tmp_path, command=r"other\.py") is None
    assert find(folder=tmp_path / "other", command=r"train\.py") is None
    assert find(folder=tmp_path, unit="train.service") is None
    # Only the trainer's command counts, not that of who looks at it.
    with subprocess.Popen(["tail", "-f", "train.py"], cwd=tmp_path, stdout=subprocess.DEVNULL) as other:
        assert find(folder=tmp_path, command=r"train\.py") == trainer.pid
        other.kill()


def test_a_later_run_counts_while_the_earlier_one_ends(trainer: Trainer, tmp_path: Path) -> None:
    time.sleep(0.02)  # The kernel counts starts in hundredths of a second.
    later = Trainer(tmp_path)
    assert find(folder=tmp_path, command=r"train\.py") == later.pid
    later.end()


def test_it_is_found_again_after_a_restart(tmp_path: Path) -> None:
    attached = AttachedProcess(Criteria(folder=tmp_path, command=r"train\.py"))
    assert attached.find(time.time()) is None
    for _ in range(2):
        trainer = Trainer(tmp_path)
        assert pid_of(attached.find(time.time())) == trainer.pid
        trainer.end()
        assert attached.find(time.time()) is None


def test_while_it_runs_nothing_is_searched(trainer: Trainer, tmp_path: Path) -> None:
    searches = []

    def list_processes() -> list[psutil.Process]:
        searches.append(1)
        return [psutil.Process(trainer.pid)]

    attached = AttachedProcess(Criteria(command=r"train\.py"), list_processes=list_processes)
    assert [pid_of(attached.find(time.time())) for _ in range(3)] == [trainer.pid] * 3
    assert len(searches) == 1


def test_while_none_runs_settled_processes_are_looked_at_once(trainer: Trainer) -> None:
    class Counted(psutil.Process):
        reads = 0

        def cmdline(self) -> list[str]:
            self.reads += 1
            return super().cmdline()

    process = Counted(trainer.pid)
    attached = AttachedProcess(Criteria(command="other"), list_processes=lambda: [process])
    for _ in range(3):
        assert attached.find(time.time()) is None
    # Young, it may still become another program.
    assert process.reads == 3
    for _ in range(3):
        assert attached.find(time.time() + 3600) is None
    assert process.reads == 4


def test_a_pid_file_is_read_again_after_a_restart(trainer: Trainer, tmp_path: Path) -> None:
    pid_file = tmp_path / "train.pid"
    attached = AttachedProcess(Criteria(pid_file=pid_file, command=r"train\.py"))
    for content in ("", "text", "-5", "9" * 30, "1"):
        pid_file.write_text(content)
        assert attached.find(time.time()) is None
    pid_file.write_text(f"{trainer.pid}\n")
    assert pid_of(attached.find(time.time())) == trainer.pid


def test_a_unit_is_read_from_the_cgroup(trainer: Trainer, tmp_path: Path) -> None:
    cgroup = tmp_path / str(trainer.pid) / "cgroup"
    cgroup.parent.mkdir()
    cgroup.write_text("0::/system.slice/train.service\n")
    for unit, found in (("train.service", trainer.pid), ("other.service", None)):
        attached = AttachedProcess(Criteria(unit=unit, command=r"train\.py"), proc=tmp_path)
        assert pid_of(attached.find(time.time())) == found


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/train.service\n", "train.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/grpo.service\n", "grpo.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope\n", None),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
        ("0::/system.slice/docker-0123.scope\n", None),
        ("12:pids:/x\n1:name=systemd:/system.slice/train@2.service\n", "train@2.service"),
        ("", None),
    ],
)
def test_the_service_of_a_cgroup_is_known(cgroup: str, unit: str | None) -> None:
    assert parse_unit(cgroup) == unit


@pytest.mark.parametrize(
    ("command", "is_about"),
    [
        ("vim train.py", True),
        ("/bin/sh -c python train.py", True),
        ("bash -lc python train.py", True),
        ("tmux: server", True),
        ("-bash", True),
        ("bash --login", True),
        ("bash ./run_rl_swarm.sh", False),
        ("python3 -c x", False),
        ("/venv/bin/python train.py", False),
        ("", True),
    ],
)
def test_programs_that_only_name_a_trainer_are_known(command: str, is_about: bool) -> None:
    assert is_about_commands(command.split()) == is_about


@pytest.mark.parametrize(("criteria", "message"), [({"command": "("}, "command: '\\('"), ({}, "nothing tells")])
def test_criteria_that_tell_nothing_are_refused(criteria: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Criteria(**criteria)  # type: ignore[arg-type]
