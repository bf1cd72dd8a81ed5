"""Real runs of TRL are read while they write, and agree with the trainer's own record; one file, so that they run once.

Read are the output, the checkpoints, and what TensorBoard, wandb and trackio themselves write.
"""

import json
import os

import pytest

from exporter.progress.names import translate
from exporter.progress.readers import tensorboard, trackio, wandb
from exporter.progress.readers.checkpoints import Reader as CheckpointReader
from tests.exporter.progress.conftest import WRITERS, read_quietly, tracker_readers
from tests.exporter.progress.test_fuzz import check_ends
from tests.programs import go_without

NOW = 1_800_000_000.0
STEPS = 10
NAMES = ("train/reward", "train/reward_std", "train/grad_norm", "train/entropy", "train/completions/mean_length")
NAMES_OF_WRITERS = ("tensorboard", "wandb", "trackio")
MAX_TRUNCATED = 4096


def test_a_real_run_agrees_with_its_own_record(trl_run):
    records = [record for _, record in trl_run.records["unbuffered"] if record.values]
    written = trl_run.written["unbuffered"]
    assert [(r.step, r.total_steps) for r in records] == [(step, 12) for step, _, _ in written]
    assert [translate(r.values)["reward"] for r in records] == pytest.approx([w[1] for w in written], abs=1e-4)
    assert {"loss", "grad_norm", "entropy", "completion_length", "clipped_ratio", "zero_spread"} <= set(
        translate(records[-1].values)
    )


def test_each_report_is_there_at_the_next_look(trl_run):
    looks = [look for look, record in trl_run.records["unbuffered"] if record.values]
    for look, (_, _, written) in zip(looks, trl_run.written["unbuffered"], strict=True):
        # A busy machine may let the reading test wait, hence more than the interval between looks.
        assert 0 <= look - written < 60.0
    for look, record in trl_run.records["unbuffered"]:
        assert record.at is None or look - 60.0 < record.at <= look


def test_buffered_output_tells_values_late_and_steps_by_its_bar(trl_run):
    records = [record for _, record in trl_run.records["buffered"]]
    written = trl_run.written["buffered"]
    rewards = [translate(r.values)["reward"] for r in records if r.values]
    assert rewards == pytest.approx([reward for _, reward, _ in written], abs=1e-4)
    told = [r.step for r in records if r.step is not None]
    assert told == sorted(told)
    assert told[-1] == 12
    assert all(r.total_steps == 12 for r in records if r.step is not None)


def test_a_real_run_tells_what_it_logged(trl_run):
    records = CheckpointReader.configured({"path": "unbuffered"}, trl_run.folder).read(NOW)
    written = trl_run.written["unbuffered"]
    assert [(r.step, r.total_steps) for r in records] == [(step, 12) for step, _, _ in written]
    assert [translate(r.values)["reward"] for r in records] == pytest.approx([reward for _, reward, _ in written])
    assert written[-1][2] - 1 <= records[-1].at


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.bench)])
def test_a_real_log_may_end_anywhere(tmp_path, trl_run, every):
    content = (trl_run.folder / "unbuffered" / "run.log").read_bytes()[:4096]
    whole = next(check_ends("log of transformers", tmp_path, content, 4096))
    assert whole
    assert all(parts == whole for parts in check_ends("log of transformers", tmp_path, content, every))


def test_the_generation_before_agrees_with_its_own_record(earlier_run):
    """It prints numbers, where the present one prints them as texts of four digits."""
    checkpoint = earlier_run.folder / "unbuffered" / "checkpoint-12"
    versions = json.loads((checkpoint / "config.json").read_text())["transformers_version"]
    assert versions.startswith("4.57.")
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    logged = [entry for entry in state["log_history"] if "reward" in entry]
    looks = [(look, record) for look, record in earlier_run.records["unbuffered"] if record.values]
    records = [record for _, record in looks]
    assert [(r.step, r.total_steps) for r in records] == [(entry["step"], state["max_steps"]) for entry in logged]
    for record, entry in zip(records, logged, strict=True):
        values = translate(record.values)
        assert (values["reward"], values["grad_norm"], values["loss"]) == (
            entry["reward"],
            entry["grad_norm"],
            entry["loss"],
        )
        assert {"completion_length", "clipped_ratio", "zero_spread"} <= set(values)
    # The state has no times: the trainer noted them.
    written = earlier_run.written["unbuffered"]
    assert [(step, reward) for step, reward, _ in written] == [(entry["step"], entry["reward"]) for entry in logged]
    for (look, record), (_, _, at) in zip(looks, written, strict=True):
        assert 0 <= look - at < 60.0
        # Of several that were read at once the file's time is the last one's.
        assert record.at is None or look - 60.0 < record.at <= look
    assert any(record.at for _, record in looks)
    told = CheckpointReader.configured({"path": "unbuffered"}, earlier_run.folder).read(NOW)
    assert [(r.step, r.values["reward"]) for r in told] == [(entry["step"], entry["reward"]) for entry in logged]


# What the trackers wrote


class Run:
    """A run that has ended: its folder, and what each reader gave while it was written."""

    def __init__(self, folder, records):
        self.folder = folder
        self.followed = {name: [record for _, record in found] for name, found in records.items()}
        self.heard_at = {name: [at for at, _ in found] for name, found in records.items()}
        (state,) = folder.glob("output/checkpoint-*/trainer_state.json")
        self.log = {entry["step"]: entry for entry in json.loads(state.read_text())["log_history"]}


@pytest.fixture(scope="module")
def run(trl_run):
    if not WRITERS.is_dir():
        go_without(
            f"needs the writers: pip install --no-deps --target {WRITERS} -r tests/exporter/progress/trackers.txt"
        )
    return Run(trl_run.folder / "tracked", {name: trl_run.records[name] for name in NAMES_OF_WRITERS})


def by_step(records):
    """All values; TensorBoard writes each by itself, so that a report may come in two records."""
    return {(record.step, tag): value for record in records for tag, value in record.values.items()}


def _read(reader):
    return [record for _, record in read_quietly(reader)]


@pytest.mark.parametrize("name", NAMES_OF_WRITERS)
def test_steps_and_values_are_those_of_the_trainer(run, name):
    rewarded = [record.step for record in run.followed[name] if "train/reward" in record.values]
    assert rewarded == list(range(1, STEPS + 1))
    found = by_step(run.followed[name])
    for step, logged in run.log.items():
        for value in NAMES:
            assert found[step, value] == pytest.approx(logged[value.removeprefix("train/")], rel=1e-6), value


@pytest.mark.parametrize("name", NAMES_OF_WRITERS)
def test_times_are_when_it_was_written_and_it_is_read_at_once(run, name):
    late = [heard - record.at for record, heard in zip(run.followed[name], run.heard_at[name], strict=True)]
    # wandb and trackio write from a process or thread of their own, at intervals of theirs.
    assert min(late) > -1
    assert max(late) < 60
    ats = [record.at for record in run.followed[name]]
    assert ats == sorted(ats)


@pytest.mark.parametrize("name", NAMES_OF_WRITERS)
def test_no_step_comes_from_what_was_logged_besides(run, name):
    assert {record.step for record in run.followed[name]} <= set(range(1, STEPS + 1))
    assert not [value for record in run.followed[name] for value in record.values if "profiling" in value]


@pytest.mark.parametrize("name", NAMES_OF_WRITERS)
def test_a_run_that_is_over_reads_like_one_that_was_followed(run, name):
    assert by_step(_read(tracker_readers(run.folder)[name])) == by_step(run.followed[name])


def test_reading_leaves_nothing_beside_the_database(run):
    """A writer that ends while it is read leaves its own log there, which its next one takes over."""
    before = sorted((run.folder / "trackio").iterdir())
    assert {path.suffix for path in before} <= {".db", ".lock", ".db-wal", ".db-shm"}
    assert _read(tracker_readers(run.folder)["trackio"])
    assert sorted((run.folder / "trackio").iterdir()) == before


def written_files(folder):
    for pattern in ("output/**/*.tfevents.*", "wandb/**/*.wandb", "trackio/*.db"):
        yield from folder.glob(pattern)


def test_copies_cut_off_anywhere_give_what_is_whole(run, tmp_path):
    for path in written_files(run.folder):
        copy = tmp_path / path.name
        content = path.read_bytes()[:MAX_TRUNCATED]
        make = {".db": trackio.Reader, ".wandb": wandb.Reader}.get(path.suffix, tensorboard.Reader)
        copy.write_bytes(content)
        for size in range(len(content), -1, -1):
            os.truncate(copy, size)
            assert len(_read(make(copy))) <= STEPS


def test_a_copy_that_grows_byte_by_byte_is_read_once(run, tmp_path):
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
