"""Of several runs in one place the one that was begun last is followed; two at once are flagged."""

import pytest

from exporter.progress._tracked_runs import QUIET_SECONDS, NewestRun
from exporter.progress.record import ReadError


def test_a_run_is_kept_until_a_later_one_begins() -> None:
    newest = NewestRun("name one")
    assert newest.choose({}, 0.0) is None
    assert newest.choose({"a": 5.0, "b": 1.0}, 0.0) == "a"
    assert newest.choose({"a": 6.0, "b": 1.0}, 1.0) == "a"
    assert newest.choose({"a": 6.0, "b": 1.0, "c": 7.0}, 2.0) == "c"
    assert newest.choose({"a": 6.0, "b": 1.0, "c": 7.0}, 3.0) == "c"
    assert newest.choose({"a": 6.0}, 4.0) == "a"


def test_an_earlier_run_that_goes_on_is_flagged_and_followed_once_the_later_is_silent() -> None:
    newest = NewestRun("name one")
    newest.choose({"a": 1.0, "b": 2.0}, 0.0)
    with pytest.raises(ReadError, match="two runs are written at once, 'a' and 'b'; name one"):
        newest.choose({"a": 3.0, "b": 2.0}, 1.0)
    assert newest.choose({"a": 4.0, "b": 2.0}, QUIET_SECONDS) == "a"
