"""The pace outlives a restart of the same trainer, and nothing else does."""

import json

import pytest

from exporter.pace import Pace, PhaseMemory
from exporter.progress.pace_file import MAX_BYTES, mark, parse, render

LEARNT = PhaseMemory([1.0, 2.0, 1.5], [1.0, 1.0, 3.25, 1.0, 1.0])


def test_what_is_written_is_read_again():
    assert parse(render("m", {"training": LEARNT}), "m") == {"training": LEARNT}


def test_another_trainers_pace_is_not_taken():
    assert parse(render("m", {"training": LEARNT}), "another") == {}


def test_a_month_of_steps_stays_small():
    pace = Pace()
    for at in range(9000):
        pace.add(1.0 + (at % 977) / 1234.567, "training")
        pace.add(3.0 + (at % 977) / 1234.567, "generating")
    assert len(render("m" * 64, pace.memory())) < MAX_BYTES / 10


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"mark":"m","phases":[]}',
        b'{"mark":"m","phases":{"saving":{"recent":[1],"tail":[1]}}}',
        b'{"mark":"m","phases":{"training":[]}}',
        b'{"mark":"m","phases":{"training":{"recent":[],"tail":[1]}}}',
        b'{"mark":"m","phases":{"training":{"recent":[1],"tail":[NaN]}}}',
        b'{"mark":"m","phases":{"training":{"recent":[1],"tail":[1e999]}}}',
        b'{"mark":"m","phases":{"training":{"recent":[-1],"tail":[1]}}}',
        b'{"mark":"m","phases":{"training":{"recent":["1"],"tail":[1]}}}',
        b'{"mark":"m","phases":{"training":{"recent":[true],"tail":[1]}}}',
        b'{"mark":"m","phases":{"training":{"recent":[1],"tail":[1e7]}}}',
        b'{"mark":"m","phases":{"training":{"recent":[' + b"9" * 6000 + b'],"tail":[1]}}}',
        json.dumps({"mark": "m", "phases": {"training": {"recent": [1] * 65, "tail": [1]}}}).encode(),
    ],
)
def test_a_damaged_file_is_refused_by_one_kind_of_error(content):
    with pytest.raises(ValueError, match=r"\S"):
        parse(content, "m")


def test_the_largest_numbers_that_are_read_break_no_arithmetic():
    learnt = PhaseMemory([1e7] * 64, [1e6] * 4000)
    pace = Pace()
    pace.remember(parse(render("m", {"training": learnt}), "m"))
    for _ in range(20):
        pace.add(1e7)
    assert pace.stall_after("training") > 0


@pytest.mark.parametrize(
    ("changed", "is_same"),
    [
        ({}, True),
        ({"output_dir": "elsewhere", "logging_dir": "runs/Nov28", "resume_from_checkpoint": "x", "max_steps": 9}, True),
        ({"per_device_train_batch_size": 16}, False),
        ({"max_completion_length": 512}, False),
        ({"an argument of next year": 1}, False),
    ],
)
def test_the_same_trainer_has_the_same_model_and_settings(changed, is_same):
    settings = {"output_dir": "out", "per_device_train_batch_size": 8, "odd": object()}
    assert (mark({"class": "A"}, settings) == mark({"class": "A"}, {**settings, **changed})) == is_same
    assert mark({"class": "A"}, settings) != mark({"class": "B"}, settings)
