"""Real processes of this machine: two trainers and a `sleep`, their facts, and their finding after a restart."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.attached_process import AttachedProcess
from fleet.attach.candidates import Candidate, find_candidates
from fleet.attach.machine import has_torch, list_written, read_processes, read_text, split_files

# Reads like a script of TRL; what it imports does not matter to who looks from outside.
SCRIPT = """
import sys
if "never" in sys.argv:
    from trl import GRPOTrainer
metrics = open("metrics.jsonl", "a")
print("runs", file=sys.stderr, flush=True)
sys.stdin.read()
"""
SECRET = "hf_" + "Zk3" * 10


class Trainer:
    """A script that runs in a folder, its output in a file there."""

    def __init__(self, folder: Path, log: str) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "train.py").write_text(SCRIPT)
        with (folder / log).open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "train.py", "--hf_token", SECRET],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                env={"WANDB_API_KEY": SECRET, "WANDB_MODE": "offline"},
            )
        assert self._process.stderr is not None
        assert self._process.stderr.readline() == "runs\n"
        self.pid = self._process.pid

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture
def trainers(tmp_path: Path) -> Iterator[tuple[Trainer, Trainer]]:
    pair = Trainer(tmp_path / "a", "nohup.out"), Trainer(tmp_path / "b", "train.log")
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path / "a") as sleep:
        yield pair
        sleep.kill()
    for trainer in pair:
        trainer.end()


def find(folder: Path) -> dict[int, Candidate]:
    candidates = find_candidates(read_processes(), read_text, list_written)
    return {one.pid: one for one in candidates if one.folder is not None and one.folder.is_relative_to(folder)}


def test_trainers_of_this_machine_are_found_with_their_readers(
    trainers: tuple[Trainer, Trainer], tmp_path: Path
) -> None:
    found = find(tmp_path)
    assert set(found) == {trainer.pid for trainer in trainers}
    for trainer, log in zip(trainers, ("a/nohup.out", "b/train.log"), strict=True):
        candidate = found[trainer.pid]
        assert candidate.kind == "trl"
        assert not candidate.notes
        readers = {reader.name: reader.options["path"] for reader in candidate.readers}
        assert readers["log"] == str(tmp_path / log)
        assert readers["jsonl"] == str((tmp_path / log).parent / "metrics.jsonl")
    assert SECRET not in repr(found) + repr(read_processes())


def test_each_is_found_again_after_its_owner_restarted_it(tmp_path: Path) -> None:
    first = Trainer(tmp_path / "a", "nohup.out")
    criteria = find(tmp_path)[first.pid].criteria
    first.end()
    assert criteria is not None
    attached = AttachedProcess(criteria)
    assert attached.find(time.time()) is None
    other, again = Trainer(tmp_path / "b", "x"), Trainer(tmp_path / "a", "nohup.out")
    process = attached.find(time.time())
    assert process is not None
    assert process.pid == again.pid
    other.end()
    again.end()


def test_libtorch_is_known_among_what_is_mapped() -> None:
    line = b"7f0-7f1 r-xp 0 fe:00 1 /v/lib/python3.12/site-packages/torch/lib/libtorch_cpu.so\n"
    assert has_torch(line)
    assert not has_torch(line.replace(b"libtorch_cpu", b"libtorchy"))


def test_of_open_files_only_those_that_tell_of_progress_are_kept() -> None:
    streams, files = split_files(
        {0: "/dev/null", 1: "/x/train.log", 2: "pipe:[1]", 3: "/x/id_rsa", 4: "/x/metrics.jsonl", 5: "/x/metrics.jsonl"}
    )
    assert streams == {0: "/dev/null", 1: "/x/train.log", 2: "pipe:[1]"}
    assert files == (Path("/x/train.log"), Path("/x/metrics.jsonl"))
