"""Slots and thinned blocks: what is left of a time whose samples are too many to keep."""

from alerts.history.block import Block
from alerts.history.samples import FAILURE, SeriesName
from alerts.history.summary import SAMPLES_COLUMN, STATES, column_of, merge, read_chart, summarize
from alerts.history.thinning import thin

MEMORY = SeriesName("trainer_memory_bytes", frozenset({("kind", "footprint")}))
UP, STARTED = SeriesName("trainer_up"), SeriesName("trainer_start_timestamp_seconds")
RANK = SeriesName("swarm_rank")
FAILED = SeriesName(FAILURE, frozenset({("text", "no connection")}))
IDS = {1: MEMORY, 2: UP, 3: STARTED, 4: RANK, 5: FAILED}


def _block(**columns: list[float | None]) -> Block:
    numbers = {"memory": 1, "up": 2, "started": 3, "rank": 4, "failed": 5}
    rows = len(next(iter(columns.values())))
    return Block(
        [1500.0 + 15 * row for row in range(rows)], {numbers[name]: list(one) for name, one in columns.items()}
    )


def test_a_slot_keeps_least_greatest_mean_and_last() -> None:
    summary = summarize(_block(memory=[1.0, 9.0, 2.0] + [4.0] * 17 + [7.0]), IDS)
    assert summary.times == [1500.0, 1800.0]
    kept = {one: summary.columns[column_of("memory_bytes", one)] for one in ("mean", "min", "max", "last")}
    assert kept == {"mean": [4.0, 7.0], "min": [1.0, 7.0], "max": [9.0, 7.0], "last": [4.0, 7.0]}
    assert summary.columns[SAMPLES_COLUMN] == [20.0, 1.0]


def test_of_a_total_only_the_last_value_is_kept_and_a_phase_has_its_own() -> None:
    phases = {
        7: SeriesName("trainer_phase_seconds_total", frozenset({("trainer_state", "saving")})),
        8: SeriesName("trainer_phase_seconds_total", frozenset({("trainer_state", "training")})),
    }
    block = Block([1500.0, 1515.0], {7: [1.0, 2.0], 8: [30.0, 40.0]})
    summary = summarize(block, {**IDS, **phases})
    assert summary.columns[column_of("saving_seconds_total", "last")] == [2.0]
    assert summary.columns[column_of("training_seconds_total", "last")] == [40.0]
    assert len(summary.columns) == 3


def test_what_was_not_measured_is_no_number_in_any_slot() -> None:
    summary = summarize(_block(memory=[None] * 20 + [3.0], rank=[None] * 21), IDS)
    assert summary.columns[column_of("memory_bytes", "mean")] == [None, 3.0]
    assert column_of("rank", "last") not in summary.columns


def test_the_state_of_a_slot_is_the_worst_in_it() -> None:
    up: list[float | None] = [1.0, 0.0, 1.0] + [1.0] * 17
    summary = summarize(_block(up=[*up, None], failed=[None] * 20 + [1.0]), IDS)
    worst = summary.columns[column_of("state", "max")]
    assert [STATES[int(one)] for one in worst if one is not None] == ["down", "unreachable"]


def test_slots_are_merged_by_their_samples() -> None:
    summary = summarize(_block(memory=[1.0] * 20 + [21.0]), IDS)
    longer = merge(summary, 3600.0)
    assert longer.times == [0.0]
    assert longer.columns[column_of("memory_bytes", "mean")] == [(20 * 1.0 + 21.0) / 21]
    assert longer.columns[column_of("memory_bytes", "max")] == [21.0]


def test_a_thinned_block_keeps_spikes_restarts_and_changes() -> None:
    rows = 240
    memory: list[float | None] = [5.0] * rows
    memory[47] = 50.0
    started: list[float | None] = [1.0] * 100 + [2.0] * 140
    rank: list[float | None] = [3.0] * 200 + [9.0] * 40
    block = thin(_block(memory=memory, up=[1.0] * rows, started=started, rank=rank), IDS)
    assert len(block.times) < 24
    assert max(value or 0.0 for value in block.columns[1]) == 50.0
    kept = set(block.times)
    for row in (47, 99, 100, 199, 200, rows - 1):
        assert 1500.0 + 15 * row in kept


def test_the_chart_of_states_calls_an_unreachable_sidecar_so_and_keeps_a_clean_exit() -> None:
    ids = {**IDS, 6: SeriesName("trainer_state", frozenset({("trainer_state", "stopped")}))}
    columns: dict[int, list[float | None]] = {
        2: [1.0, 0.0, None, None],
        6: [0.0, 1.0, 1.0, None],
        5: [None] * 3 + [1.0],
    }
    states = read_chart("state", Block([0.0, 15.0, 30.0, 45.0], columns), ids)
    assert [None if one is None else STATES[int(one)] for one in states or []] == [None, "stopped", None, "unreachable"]
