"""When a source is read again, and what stays after a failure."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import pytest

from exporter.leaderboard.last_values import MAX_BACK_OFF_SECONDS, LastValues
from exporter.sources import SourceError, Standing

ALFA, BRAVO = ("Qm" + letter * 44 for letter in "ab")


class Scripted:
    """A source that fails when told to; its reward is the time of the read."""

    OPTIONS: ClassVar[tuple[str, ...]] = ()
    interval_seconds = 60.0

    def __init__(self) -> None:
        self.failure: SourceError | None = None
        self.read_at: list[float] = []

    @classmethod
    def configured(cls, options: Mapping[str, Any]) -> Self:
        return cls()

    def read(self, peer_ids: Sequence[str], now: float) -> Sequence[Standing]:
        self.read_at.append(now)
        if self.failure is not None:
            raise self.failure
        return [Standing(peer_id, now, reward=now) for peer_id in peer_ids]


@pytest.fixture
def source() -> Scripted:
    return Scripted()


def test_nothing_is_known_before_the_first_read(source: Scripted) -> None:
    source.failure = SourceError("down")

    report = LastValues(source).read([ALFA], 1000.0)

    assert (report.standings, report.is_up, report.success_at, report.problem) == ((), False, None, "down")


def test_between_two_reads_the_last_one_answers(source: Scripted) -> None:
    values = LastValues(source)

    rewards = [values.read([ALFA], 1000.0 + seconds).standings[0].reward for seconds in (0, 59, 60, 119)]

    assert rewards == [1000.0, 1000.0, 1060.0, 1060.0]


def test_a_failed_read_keeps_values_and_the_time_of_the_last_success(source: Scripted) -> None:
    values = LastValues(source)
    values.read([ALFA], 1000.0)
    source.failure = SourceError("down")

    report = values.read([ALFA], 1060.0)

    assert report.standings == (Standing(ALFA, 1000.0, reward=1000.0),)
    assert (report.is_up, report.success_at) == (False, 1000.0)
    source.failure = None
    assert values.read([ALFA], 1120.0).problem is None


def test_what_a_failed_read_did_bring_is_new(source: Scripted) -> None:
    values = LastValues(source)
    values.read([ALFA, BRAVO], 1000.0)
    source.failure = SourceError("half", [Standing(BRAVO, 1060.0, reward=-1.0)])

    report = values.read([ALFA, BRAVO], 1060.0)

    assert [standing.reward for standing in report.standings] == [1000.0, -1.0]


def test_a_peer_that_is_no_longer_asked_for_is_left_out(source: Scripted) -> None:
    values = LastValues(source)
    values.read([ALFA, BRAVO], 1000.0)

    assert [standing.peer_id for standing in values.read([BRAVO], 1001.0).standings] == [BRAVO]


def test_an_ordinary_failure_is_tried_again_at_the_usual_time(source: Scripted) -> None:
    values = LastValues(source)
    source.failure = SourceError("down")

    for seconds in range(0, 301, 10):
        values.read([ALFA], 1000.0 + seconds)

    assert [at - 1000.0 for at in source.read_at] == [0, 60, 120, 180, 240, 300]


def test_a_service_that_asks_for_fewer_reads_gets_fewer_until_it_answers(source: Scripted) -> None:
    values = LastValues(source)
    source.failure = SourceError("429", is_limit=True)

    for seconds in range(0, 4 * 3600, 60):
        values.read([ALFA], 1000.0 + seconds)

    pauses = [after - before for before, after in zip(source.read_at, source.read_at[1:], strict=False)]
    assert pauses == [120, 240, 480, 960, 1920, MAX_BACK_OFF_SECONDS, MAX_BACK_OFF_SECONDS]


def test_a_clock_that_was_put_back_does_not_stop_the_reads(source: Scripted) -> None:
    values = LastValues(source)
    values.read([ALFA], 9000.0)

    assert values.read([ALFA], 1000.0).success_at == 1000.0
