"""What is usual for a trainer is kept in its run folder, and a damaged file costs only that."""

import json

import pytest

from exporter.activity.activity_file import MAX_BYTES, parse, render
from exporter.activity.phase import RUNS, WINDOW, Learnt

PROCESS = {"pid": 7, "start_ticks": 12345}
LEARNT = {"training": Learnt([1.0, 2.5], [1.0], [0.0, 15.0], [0.0], [4.0], [0.5], [0.7])}


def test_what_is_kept_is_found_again_and_whose_it_was():
    content = render(PROCESS, LEARNT)
    assert parse(content, PROCESS) == (LEARNT, True)
    assert parse(content, PROCESS | {"pid": 8}) == (LEARNT, False)


def test_the_most_that_is_ever_kept_can_be_read():
    full = Learnt([1.23456] * WINDOW, [0.0] * WINDOW, *[[12345.6] * RUNS] * 3, *[[1e-7] * WINDOW] * 2)
    content = render(PROCESS, dict.fromkeys(("generating", "training"), full))
    assert len(content) < MAX_BYTES / 5
    assert len(parse(content, PROCESS)[0]["training"].cores) == WINDOW


def test_a_field_that_an_earlier_version_did_not_keep_is_empty():
    content = json.dumps({"phases": {"training": {"cores": [1.0], "rests": [2.0]}}}).encode()
    assert parse(content, PROCESS)[0]["training"] == Learnt([1.0], [], [2.0], [], [], [], [])


def phases(**fields):
    return json.dumps({"phases": {"training": {"cores": [1], "accelerator": [], "rests": [], "turns": []} | fields}})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"phases": {"cooking": {}}}',
        '{"phases": {"training": []}}',
        phases(cores=None),
        phases(cores=[1] * (WINDOW + 1)),
        phases(rests=["1"]),
        phases(rests=[True]),
        phases(turns=[-1]),
        phases(turns=[1e300]),
        phases(cores=[float("nan")]),
    ],
)
def test_a_damaged_file_is_refused(content):
    with pytest.raises(ValueError, match=r".+"):
        parse(content.encode(), PROCESS)
