"""What TensorBoard, wandb and trackio themselves write for a real GRPO run agrees with the trainer's own record."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.progress.readers import tensorboard, trackio, wandb
from exporter.progress.record import ReadError, Record
from tests.architecture import ROOT
from tests.programs import go_without

WRITERS = ROOT / ".venv" / "writers"
STEPS = 10
NAMES = ("train/reward", "train/reward_std", "train/grad_norm", "train/entropy", "train/completions/mean_length")
MAX_TRUNCATED = 4096


class Run:
    """A run that has ended: its folder, and what each reader gave while it was written."""

    def __init__(self, folder: Path, followed: dict[str, list[Record]], heard_at: dict[str, list[float]]) -> None:
        self.folder = folder
        self.followed = followed
        self.heard_at = heard_at
        (state,) = folder.glob("output/checkpoint-*/trainer_state.json")
        self.log = {entry["step"]: entry for entry in json.loads(state.read_text())["log_history"]}


def readers(folder: Path) -> dict[str, tensorboard.Reader | wandb.Reader | trackio.Reader]:
    return {
        "tensorboard": tensorboard.Reader.configured({"path": "output"}, folder),
        "wandb": wandb.Reader.configured({"path": "wandb"}, folder),
        "trackio": trackio.Reader.configured({"path": "trackio", "project": "huggingface", "run": "digits"}, folder),
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    if not WRITERS.is_dir():
        go_without(
            f"needs the writers: pip install --no-deps --target {WRITERS} -r tests/exporter/progress/trackers.txt"
        )
    folder = tmp_path_factory.mktemp("run")
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{WRITERS}",
        "WANDB_MODE": "offline",
        "TRACKIO_DIR": str(folder / "trackio"),
        "HF_HUB_OFFLINE": "1",
    }
    with (folder / "out.txt").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("trl_with_trackers.py")), str(STEPS), *readers(folder)],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    following = readers(folder)
    followed: dict[str, list[Record]] = {name: [] for name in following}
    heard_at: dict[str, list[float]] = {name: [] for name in following}
    try:
        deadline = time.monotonic() + 300
        while True:
            has_ended = process.poll() is not None
            for name, reader in following.items():
                records = _read(reader)
                followed[name] += records
                heard_at[name] += [time.time()] * len(records)
            if has_ended or time.monotonic() > deadline:
                break
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, (folder / "out.txt").read_text()[-2000:]
    return Run(folder, followed, heard_at)


def by_step(records: list[Record]) -> dict[tuple[int | None, str], float]:
    """All values; TensorBoard writes each by itself, so that a report may come in two records."""
    return {(record.step, tag): value for record in records for tag, value in record.values.items()}


def _read(reader: tensorboard.Reader | wandb.Reader | trackio.Reader) -> list[Record]:
    try:
        return list(reader.read(time.time()))
    except ReadError:
        return []


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_steps_and_values_are_those_of_the_trainer(run: Run, name: str) -> None:
    rewarded = [record.step for record in run.followed[name] if "train/reward" in record.values]
    assert rewarded == list(range(1, STEPS + 1))
    found = by_step(run.followed[name])
    for step, logged in run.log.items():
        for value in NAMES:
            assert found[step, value] == pytest.approx(logged[value.removeprefix("train/")], rel=1e-6), value


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_times_are_when_it_was_written_and_it_is_read_at_once(run: Run, name: str) -> None:
    late = [heard - record.at for record, heard in zip(run.followed[name], run.heard_at[name], strict=True)]
    # wandb and trackio write from a process or thread of their own, at intervals of theirs.
    assert min(late) > -1
    assert max(late) < 30
    ats = [record.at for record in run.followed[name]]
    assert ats == sorted(ats)


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_no_step_comes_from_what_was_logged_besides(run: Run, name: str) -> None:
    assert {record.step for record in run.followed[name]} <= set(range(1, STEPS + 1))
    assert not [value for record in run.followed[name] for value in record.values if "profiling" in value]


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_run_that_is_over_reads_like_one_that_was_followed(run: Run, name: str) -> None:
    assert by_step(_read(readers(run.folder)[name])) == by_step(run.followed[name])


def test_nothing_is_left_beside_the_database(run: Run) -> None:
    assert {path.suffix for path in (run.folder / "trackio").iterdir()} <= {".db", ".lock"}


def written_files(folder: Path) -> Iterator[Path]:
    for pattern in ("output/**/*.tfevents.*", "wandb/**/*.wandb", "trackio/*.db"):
        yield from folder.glob(pattern)


def test_copies_cut_off_anywhere_give_what_is_whole(run: Run, tmp_path: Path) -> None:
    for path in written_files(run.folder):
        copy = tmp_path / path.name
        content = path.read_bytes()[:MAX_TRUNCATED]
        make = {".db": trackio.Reader, ".wandb": wandb.Reader}.get(path.suffix, tensorboard.Reader)
        # A database has one page there; of the others, each byte counts.
        copy.write_bytes(content)
        for size in range(len(content), -1, -64 if path.suffix == ".db" else -1):
            os.truncate(copy, size)
            assert len(_read(make(copy))) <= STEPS


def test_a_copy_that_grows_byte_by_byte_is_read_once(run: Run, tmp_path: Path) -> None:
    for path in written_files(run.folder):
        if path.suffix == ".db":
            continue
        content = path.read_bytes()
        copy = tmp_path / path.name
        reader = (wandb.Reader if path.suffix == ".wandb" else tensorboard.Reader)(copy)
        records = []
        with copy.open("wb", buffering=0) as file:
            for place in range(0, len(content), 97):
                file.write(content[place : place + 97])
                records += _read(reader)
        rewards = [record.values["train/reward"] for record in records if "train/reward" in record.values]
        assert rewards == pytest.approx([run.log[step]["reward"] for step in range(1, STEPS + 1)], rel=1e-6)
