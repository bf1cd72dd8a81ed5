"""Reports of any trainer are read by a pattern of the user, whose time is bounded."""

import os
import time

import pytest

from exporter.progress.readers.log import Reader
from exporter.progress.record import Record
from tests.exporter.progress.log_file import read, write


@pytest.fixture
def log(tmp_path):
    return tmp_path / "run.log"


def test_named_groups_become_step_and_values(log):
    pattern = r"\[(?P<step>\d+)/(?P<total_steps>\d+)\].*loss=(?P<loss>[-\d.e]+)(?: reward=(?P<reward>[-\d.e]+))?"
    text = "[3/10] epoch 1 loss=0.5 reward=0.25\nnothing\n[4/10] loss=nan\n[4/10] x loss=-1.5e-3\n"
    assert read(log, text, pattern=pattern)[:1] == [Record({"loss": 0.5, "reward": 0.25}, 3, None, 10)]
    records = Reader.configured({"path": log.name, "pattern": pattern}, log.parent).read(time.time())
    assert [(r.step, r.values) for r in records] == [(3, {"loss": 0.5, "reward": 0.25}), (4, {"loss": -0.0015})]


def test_a_round_is_a_step_of_another_unit(log):
    (record,) = read(log, "round 9 done\n", pattern=r"round (?P<round>\d+) done")
    assert (record.step, record.unit) == (9, "round")


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<step>(\d+)+)$",
        r"(?P<step>\d+)\d+x",
        r"(?:a|a|ab)?(?:a|a|ab)?(?:a|a|ab)?(?:a|a|ab)?(?P<step>\d+)",
        r"(?P<step>\d+)(?:\s*\w*)*!",
        r"\w+_(?P<step>\d+)",
        r"(?=.*step)(?P<step>\d+)",
        r"(?P<a>\d)(?P=a)",
        r"(.*)(?P<step>\d+)",
        r"(?P<step>\d",
        r"step \d+",
        "(?P<step>x)" + "y" * 500,
    ],
)
def test_what_may_take_for_ever_or_says_nothing_is_refused(log, pattern):
    with pytest.raises(ValueError, match=r"^pattern: "):
        Reader.configured({"path": log.name, "pattern": pattern}, log.parent)


def test_many_hostile_lines_take_half_a_second_and_progress_goes_on(log):
    reader = Reader.configured({"path": log.name, "pattern": r"(?P<step>\d+) foo"}, log.parent)
    write(log, "start\n")
    reader.read(time.time())
    write(log, ("1" * 1020 + " foe foo\n") * 6000)
    began = time.thread_time()
    assert reader.read(time.time()) == []
    assert time.thread_time() - began < 10.0
    os.truncate(log, 0)
    write(log, "12 foo\n")
    assert [record.step for record in reader.read(time.time())] == [12]


@pytest.mark.parametrize("line", ["1" * 2000, "a " * 1000, "step=" * 400, "(" * 2000, "1." * 1000])
def test_hostile_lines_take_milliseconds(log, line):
    pattern = r"step=(?P<step>\d+)\s+loss=(?P<loss>-?\d+(?:\.\d+)?(?:e-?\d+)?).*[^)]+\).*reward: (?P<reward>\S+)"
    began = time.thread_time()
    assert read(log, (line + "\n") * 20, pattern=pattern) == []
    assert time.thread_time() - began < 10.0
