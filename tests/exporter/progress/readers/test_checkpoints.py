"""Where a run was is read from the state that a checkpoint holds."""

import json
import os

import pytest

from exporter.progress.readers.checkpoints import HEAD_BYTES, TAIL_BYTES, Reader
from exporter.progress.record import ReadError

NOW = 1_800_000_000.0


def save(folder, step, *, logged=(), at=NOW, total=100):
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(exist_ok=True)
    state = {"global_step": step, "log_history": list(logged), "max_steps": total, "stateful": {"a": {"b": 1}}}
    path = checkpoint / "trainer_state.json"
    path.write_text(json.dumps(state, indent=2, sort_keys=True) + "\n")
    os.utime(path, (at, at))
    return path


def log(step, reward=0.5):
    return {"epoch": 0.1, "loss": 0.1, "reward": reward, "step": step}


def test_no_silence_is_judged_by_it():
    assert Reader.is_live is False


def test_each_checkpoint_tells_what_is_new(tmp_path):
    reader = Reader(tmp_path)
    with pytest.raises(ReadError, match=r"no checkpoint with a trainer_state\.json yet"):
        reader.read(NOW)
    save(tmp_path, 4, logged=[log(2), log(4)])
    assert [(r.step, r.at) for r in reader.read(NOW)] == [(2, None), (4, NOW)]
    assert reader.read(NOW) == ()
    save(tmp_path, 7, logged=[log(2), log(4), {"eval_loss": 1.0, "step": 4}, log(6)], at=NOW + 9)
    records = reader.read(NOW + 20)
    assert [(r.step, r.at, bool(r.values)) for r in records] == [(6, None, True), (7, NOW + 9, False)]


def test_a_run_that_began_again_in_the_same_folder_is_read_from_its_start(tmp_path):
    reader = Reader(tmp_path)
    save(tmp_path, 50, logged=[log(50)])
    reader.read(NOW)
    save(tmp_path, 10, logged=[log(10)], at=NOW + 9)
    assert [record.step for record in reader.read(NOW + 20)] == [10]


def test_of_a_long_history_the_end_is_read(tmp_path):
    path = save(tmp_path, 20_000, logged=[log(step) for step in range(1, 20_001)])
    assert path.stat().st_size > 2 * (HEAD_BYTES + TAIL_BYTES)
    records = Reader(tmp_path).read(NOW)
    assert records[-1].step == 20_000
    assert records[-1].total_steps == 100
    assert 1000 < len(records) < 10_000


def test_a_half_written_state_is_read_once_it_is_whole(tmp_path):
    path = save(tmp_path, 4, logged=[log(4)])
    whole = path.read_bytes()
    reader = Reader(tmp_path)
    for length in range(0, len(whole) - 2, 7):
        path.write_bytes(whole[:length])
        os.utime(path, (NOW, NOW + length))
        assert reader.read(NOW) == ()
    path.write_bytes(whole)
    assert [record.step for record in reader.read(NOW)] == [4]


def test_a_state_that_becomes_whole_within_a_tick_of_the_clock_is_read(tmp_path):
    path = save(tmp_path, 4, logged=[log(4)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    os.utime(path, (NOW, NOW))
    reader = Reader(tmp_path)
    assert reader.read(NOW) == ()
    path.write_bytes(whole)
    os.utime(path, (NOW, NOW))
    assert [record.step for record in reader.read(NOW)] == [4]


def test_an_output_folder_that_is_none(tmp_path):
    (tmp_path / "file").touch()
    for name, reason in (("file", "Not a directory"), ("none", "No such file")):
        with pytest.raises(ReadError, match=reason):
            Reader(tmp_path / name).read(NOW)
    (tmp_path / "checkpoint-1").mkdir()
    os.mkfifo(tmp_path / "checkpoint-1" / "trainer_state.json")
    with pytest.raises(ReadError, match="is not a plain file"):
        Reader(tmp_path).read(NOW)
