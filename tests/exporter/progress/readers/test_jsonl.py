"""One JSON object a line is read as its writers append it."""

import json
import math
import os
import re
import time
from datetime import UTC, datetime

import pytest

from exporter.progress.names import translate
from exporter.progress.readers.jsonl import MAX_RECORDS, Reader
from exporter.progress.record import ReadError

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC).timestamp()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def append(path, *rows, at=NOW):
    with open(path, "a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    os.utime(path, (at, at))


def read(path, *rows, **options):
    append(path, *rows)
    return Reader.configured({"path": path.name, **options}, path.parent).read(NOW)


def test_prime_rl_writes_several_rows_a_step(path):
    records = read(
        path,
        {"step": 4, "time": NOW - 9, "perf/throughput": 512.0, "perf/mfu": 10.5},
        {"step": 4, "time": NOW - 9, "optim/grad_norm": 0.2, "optim/lr": 1e-6},
        {"step": 4, "time": NOW - 8, "loss/mean": 0.1, "entropy/all/mean": 0.5, "mismatch_kl/all/mean": 0.001},
        {"step": 4, "time": NOW - 8, "time/step": 1.2},
        {"step": 4, "time": NOW - 7, "eval/gsm8k/avg@4": 0.9},
        {"step": 5, "time": NOW - 1, "optim/grad_norm": 0.3},
    )
    assert [(r.step, r.at) for r in records] == [(4, NOW - 8), (5, NOW - 1)]
    assert translate(records[0].values) == {
        "grad_norm": 0.2,
        "learning_rate": 1e-6,
        "loss": 0.1,
        "entropy": 0.5,
        "mismatch_kl": 0.001,
        "step_seconds": 1.2,
    }


def test_verl_puts_the_numbers_one_level_lower(path):
    data = {"actor/pg_loss": -0.01, "critic/rewards/mean": 0.5, "response_length/mean": 99.5, "actor/kl_loss": None}
    (record,) = read(path, {"step": 59, "data": data})
    assert record.step == 59
    assert record.at == NOW
    assert translate(record.values) == {"loss": -0.01, "reward": 0.5, "completion_length": 99.5}


def test_ms_swift_tells_step_and_total_in_one(path):
    (record,) = read(path, {"loss": 0.5, "epoch": 0.1, "global_step/max_steps": "340/9060", "percentage": "3.75%"})
    assert (record.step, record.total_steps) == (340, 9060)
    assert record.values == {"loss": 0.5, "epoch": 0.1}


def test_llama_factory(path):
    (record,) = read(
        path,
        {"current_steps": 10, "total_steps": 100, "loss": 0.5, "lr": 1e-6, "epoch": 0.1, "elapsed_time": "0:01:00"},
        {"current_steps": 10, "total_steps": 100, "eval_loss": 0.7, "epoch": 0.1, "percentage": 10.0},
    )
    assert (record.step, record.total_steps) == (10, 100)
    assert translate(record.values) == {"loss": 0.5, "learning_rate": 1e-6}


def test_any_other_by_the_names_of_its_keys(path):
    row = {"progress": {"update": 7, "of": "90"}, "when": "2026-11-28T12:59:30+01:00", "scores": {"reward": 0.5}}
    options = {"step": "progress.update", "total_steps": "progress.of", "time": "when"}
    (record,) = read(path, row, **options)
    assert (record.step, record.total_steps, record.at) == (7, 90, NOW - 30)
    assert record.values["scores.reward"] == 0.5


def test_a_zone_is_named_for_times_without_one(path):
    (record,) = read(path, {"step": 1, "time": "2026-11-28 20:59:00", "loss": 1}, zone="Asia/Tokyo")
    assert record.at == NOW - 60


def test_numbers_that_json_has_no_word_for(path):
    big = "1" + "0" * 999
    path.write_text(f'{{"step": 1, "loss": NaN, "reward": "0.5", "grad_norm": Infinity, "big": {big}, "ok": true}}\n')
    (record,) = Reader(path).read(NOW)
    assert record.values.keys() == {"loss", "reward", "grad_norm"}


def test_what_is_no_object_is_left_out(path):
    path.write_text('[1]\n{"step": 1,\nnull\n"{"\n{"step": 2, "loss": 1}\n' + "[" * 9000 + "\n" + '{"a":' * 9000 + "\n")
    assert [record.step for record in Reader(path).read(NOW)] == [2]


def test_a_step_alone_is_progress(path):
    assert [(r.step, r.values) for r in read(path, {"step": 1}, {"step": 2})] == [(1, {}), (2, {})]


def test_rows_without_the_named_key_are_told(path):
    with pytest.raises(ReadError, match="no row has the key 'update' that step names"):
        read(path, *({"step": step} for step in range(30)), step="update")


def test_two_writers_are_told_and_not_mixed(path):
    rows = [{"step": step + trainer, "loss": step} for step in range(9) for trainer in (0, 500)]
    with pytest.raises(ReadError, match="two trainers write into this file"):
        read(path, *rows)


def test_many_short_rows_cost_the_oldest(path):
    with open(path, "w") as file:
        file.writelines(f'{{"step":{step}}}\n' for step in range(30_000))
    reader = Reader(path)
    # A call takes half a second of the processor at most, and the next goes on.
    for _ in range(100):
        records = reader.read(time.time())
        assert 0 < len(records) <= MAX_RECORDS
        if records[-1].step == 29_999:
            break
    assert records[-1].step == 29_999


def test_each_row_comes_once(path):
    reader = Reader(path)
    append(path, {"step": 1, "loss": 1})
    assert len(reader.read(NOW)) == 1
    assert reader.read(NOW) == []
    append(path, {"step": 2, "loss": 1})
    assert [record.step for record in reader.read(NOW)] == [2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "a", "step": 5}, "step: '5' is not a text"),
        ({"path": "a", "key": "b"}, "key: unknown option; the options are path, step, total_steps, time, zone"),
    ],
)
def test_wrong_options_are_told_in_one_line(tmp_path, options, message):
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}.*\Z"):
        Reader.configured(options, tmp_path)


def test_a_reward_that_no_function_gave_is_not_a_number(path):
    told, other = read(
        path,
        {"step": 1, "reward": None, "reward_std": None, "frac_reward_zero_std": 0.0, "loss": 0.0},
        {"step": 2, "reward": None, "loss": 0.5},
    )
    assert math.isnan(told.values["reward"])
    assert other.values == {"loss": 0.5}
