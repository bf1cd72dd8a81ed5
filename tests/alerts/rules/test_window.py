"""What a rule keeps of the past."""

from alerts.rules import View
from alerts.rules._window import Sample, keep, recall, since
from alerts.scraping.page import parse


def _keep(samples: list[Sample], now: float, value: float = 0.0) -> list[Sample]:
    return keep(samples, [now, value], every_seconds=60, window_seconds=600)


def test_samples_are_spread_evenly_and_bounded() -> None:
    samples: list[Sample] = []
    for now in range(0, 7200, 15):
        samples = _keep(samples, now)
    assert [sample[0] for sample in samples] == list(range(6540, 7200, 60))


def test_the_list_stays_the_same_before_the_next_sample_is_due() -> None:
    samples = _keep([], 1000)
    assert _keep(samples, 1059) is samples


def test_samples_of_the_future_are_dropped_when_the_clock_was_put_back() -> None:
    samples = _keep(_keep([], 5000), 5060)
    assert _keep(samples, 1400) == [[1400, 0.0]]


def test_what_lies_before_a_step_of_the_clock_is_left_out() -> None:
    assert since([[1, 0], [5, 0]], 4) == [[5, 0]]


def test_another_process_has_no_past() -> None:
    page = parse("trainer_start_timestamp_seconds 50\n")
    memory = {"started": 50.0, "samples": [[60, 1]]}
    assert recall(View("a", 70, page, memory=memory)) == memory
    assert recall(View("a", 70, page, memory={**memory, "started": 40.0})) == {"started": 50.0}
