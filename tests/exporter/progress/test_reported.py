"""What readers find becomes the samples of a trainer."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from exporter.pace import Pace
from exporter.progress.record import ReadError, Record
from exporter.progress.reported import ReportedProgress


class Written:
    """A source whose records the test writes."""

    def __init__(self, records: Iterable[Record] = (), *, is_live: bool = True) -> None:
        self.new = list(records)
        self.failure = ""
        self.is_live = is_live
        self.activity: Mapping[str, float] = {}

    @classmethod
    def configured(cls, options: Mapping[str, Any], folder: Path) -> Self:
        return cls()

    def read(self, now: float) -> Sequence[Record]:
        if self.failure:
            raise ReadError(self.failure)
        new, self.new = self.new, []
        return new


def values(progress: ReportedProgress, now: float) -> dict[str, float]:
    """The samples by name; of one with labels, by the labels' values too."""
    return {" ".join([one.name, *one.labels.values()]): one.value for one in progress.read(now)}


def step(number: int, at: float | None = None, **logged: float) -> Record:
    return Record(logged, number, at)


def test_timed_reports_give_steps_values_and_the_pace_at_once() -> None:
    source = Written([step(10 * n, 1000.0 + 20 * n, reward=n / 10, loss=0.5) for n in range(1, 30)])
    found = values(ReportedProgress({"jsonl": source}, Pace()), 1585.0)
    assert found["trainer_steps_total"] == 290
    assert found["trainer_last_step_timestamp_seconds"] == 1580
    assert found["trainer_reward_mean"] == 2.9
    assert found["trainer_state training"] == 1
    # Steps of 2 s are reported every 20 s: the allowance counts reports.
    assert 60 <= found["trainer_stall_after_seconds"] < 400
    assert found["trainer_step_duration_seconds_sum"] == pytest.approx(28 * 20)
    assert found["trainer_step_duration_seconds_count"] == 280


def test_no_phase_has_taken_less_than_no_time_where_the_first_report_is_older_than_the_first_look() -> None:
    source = Written()
    progress = ReportedProgress({"jsonl": source}, Pace())
    values(progress, 1000.0)
    source.new = [step(1, 940.0), step(2, 960.0)]
    found = values(progress, 1005.0)
    assert found["trainer_phase_seconds_total starting"] == 0.0
    assert found["trainer_phase_seconds_total training"] == 65.0


def test_what_a_file_without_times_holds_at_first_says_nothing_about_the_pace() -> None:
    source = Written([step(n) for n in range(1, 200)])
    progress = ReportedProgress({"log": source})
    found = values(progress, 1000.0)
    assert found["trainer_steps_total"] == 199
    assert found["trainer_stall_after_seconds"] == 3600
    for tick in range(1, 31):
        source.new = [step(199 + tick)]
        found = values(progress, 1000.0 + 5 * tick)
    assert found["trainer_stall_after_seconds"] < 100
    assert found["trainer_progress_steps_per_report"] == 1


def test_reports_count_where_no_reader_knows_steps() -> None:
    source = Written([Record({"loss": 0.1})])
    progress = ReportedProgress({"log": source})
    assert values(progress, 10.0)["trainer_steps_total"] == 1
    source.new = [Record({"loss": 0.2}), Record({"loss": 0.3})]
    assert values(progress, 20.0)["trainer_steps_total"] == 3


def test_several_readers_of_one_trainer_count_a_step_once() -> None:
    log, table = Written(), Written()
    progress = ReportedProgress({"log": log, "tensorboard": table})
    for number in range(1, 11):
        log.new = [step(number)]
        table.new = [step(number - 1, 100.0 * number - 99, reward=float(number))] if number > 1 else []
        found = values(progress, 100.0 * number)
    assert found["trainer_steps_total"] == 10
    assert found["trainer_step_duration_seconds_count"] == 9
    assert found["trainer_progress_step log"] == 10
    assert found["trainer_progress_step tensorboard"] == 9


def test_steps_count_and_rounds_only_where_nobody_knows_steps() -> None:
    rounds, steps = Written([Record({}, 3, 10.0, unit="round")]), Written()
    progress = ReportedProgress({"log": rounds, "wandb": steps})
    assert values(progress, 11.0)["trainer_steps_total"] == 3
    steps.new = [step(500, 15.0)]
    rounds.new = [Record({}, 4, 16.0, unit="round")]
    assert values(progress, 20.0)["trainer_steps_total"] == 500


def test_a_trainer_that_begins_again_is_followed() -> None:
    source = Written([step(n, 10.0 * n) for n in range(1, 50)])
    started = 5.0
    progress = ReportedProgress({"log": source}, started_at=lambda: started)
    assert values(progress, 491.0)["trainer_steps_total"] == 49
    started = 600.0
    found = values(progress, 601.0)
    assert found["trainer_state starting"] == 1
    assert found["trainer_phase_start_timestamp_seconds"] == 600
    source.new = [step(41, 700.0)]
    found = values(progress, 701.0)
    assert found["trainer_state training"] == 1
    assert found["trainer_steps_total"] == 41
    assert found["trainer_phase_start_timestamp_seconds"] == 700
    assert found["trainer_step_duration_seconds_sum"] == 480  # The pause is no step.


def test_readers_that_follow_other_runs_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    one, other = Written(), Written()
    progress = ReportedProgress({"log": one, "jsonl": other})
    for number in range(1, 30):
        one.new, other.new = [step(number)], [step(number + 500)]
        values(progress, 10.0 * number)
    (message,) = [record.getMessage() for record in caplog.records]
    assert "log at " in message
    assert "jsonl at 5" in message


def test_a_source_that_cannot_be_read_costs_only_itself_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    broken, good = Written(), Written([step(1, 10.0)])
    broken.failure = "train.log: no such file"
    progress = ReportedProgress({"log": broken, "jsonl": good})
    found = values(progress, 11.0)
    assert (found["trainer_progress_up log"], found["trainer_progress_up jsonl"]) == (0, 1)
    assert found["trainer_steps_total"] == 1
    values(progress, 16.0)
    assert [record.getMessage() for record in caplog.records] == ["reader log: train.log: no such file"]
    broken.failure = ""
    assert values(progress, 21.0)["trainer_progress_up log"] == 1


def test_what_is_over_tells_no_steps_of_a_live_run() -> None:
    past = Written([Record({"reward": 0.5}, 100, 10.0, 400)], is_live=False)
    found = values(ReportedProgress({"checkpoints": past}), 1000.0)
    assert found == {
        "trainer_progress_readers": 0,
        "trainer_progress_up checkpoints": 1,
        "trainer_progress_timestamp_seconds checkpoints": 10,
        "trainer_progress_step checkpoints": 100,
        "trainer_expected_steps": 400,
    }


def test_requests_at_an_inference_server_are_no_progress_to_wait_for() -> None:
    server = Written()
    server.activity = {"running": 5.0}
    assert values(ReportedProgress({"prometheus": server}), 1000.0) == {
        "trainer_progress_readers": 0,
        "trainer_progress_up prometheus": 1,
        "trainer_inference_requests prometheus running": 5,
    }
    # A trainer may serve both.
    server.new = [step(7, 1005.0)]
    found = values(ReportedProgress({"prometheus": server}), 1010.0)
    assert (found["trainer_progress_readers"], found["trainer_steps_total"]) == (1, 7)


def test_a_peer_without_readers_has_no_progress() -> None:
    assert values(ReportedProgress({}), 10.0) == {"trainer_progress_readers": 0}


def test_a_clock_that_was_set_back_does_not_stop_the_pace() -> None:
    source = Written()
    progress = ReportedProgress({"log": source})
    for tick in range(1, 20):
        source.new = [step(tick)]
        values(progress, 100_000.0 + 10 * tick)
    for tick in range(20, 40):
        source.new = [step(tick)]
        found = values(progress, 90_000.0 + 10 * tick)
    assert found["trainer_last_step_timestamp_seconds"] == 90_390
    assert found["trainer_stall_after_seconds"] >= 10
