"""Summaries of a subject's history in slots: minimum, maximum, mean and last value of each chart. Pure.

A summary is a block whose rows are slots, so that it is read like a block of samples.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from alerts.engine.peer_state import peer_state
from alerts.history.block import Block
from alerts.history.samples import FAILURE, SeriesName, count_decimals

SLOT_SECONDS = 300.0
Statistic = Literal["mean", "min", "max", "last"]
STATISTICS: tuple[Statistic, ...] = ("mean", "min", "max", "last")
# Column 0 counts a slot's samples; a chart's statistics follow in the order of CHARTS and STATISTICS.
SAMPLES_COLUMN = 0

# The worse, the higher: a slot shows its worst state. Unknown is not a state.
STATES = ("training", "generating", "saving", "waiting", "starting", "stopped", "down", "unreachable")


# The phases that the trainer spends time in, each with a chart of its own.
PHASES = ("starting", "waiting", "generating", "training", "saving")


class Chart(NamedTuple):
    """A chart: its series, the statistic that represents a slot, and those that summaries keep."""

    series: SeriesName
    statistic: Statistic = "mean"
    kept: tuple[Statistic, ...] = STATISTICS


def _chart(name: str, statistic: Statistic = "mean", **labels: str) -> Chart:
    return Chart(SeriesName(name, frozenset(labels.items())), statistic)


def _last(name: str, **labels: str) -> Chart:
    """A chart of which only the last value says anything: a counter, a time."""
    return _chart(name, "last", **labels)._replace(kept=("last",))


# Names as in /api/status where they exist there. Only add at the end: the position is part of the file's format.
CHARTS: Mapping[str, Chart] = {
    "state": _chart("state", "max"),
    "steps_per_second": _chart("trainer_steps_per_second"),
    "steps_total": _chart("trainer_steps_total", "last"),
    "memory_bytes": _chart("trainer_memory_bytes", "max", kind="footprint"),
    "memory_limit_bytes": _chart("trainer_memory_limit_bytes", "last"),
    "rank": _chart("swarm_rank", "last"),
    "ranked_peers": _chart("swarm_ranked_peers", "last"),
    "reward_mean": _chart("trainer_reward_mean"),
    "reward_cumulative": _chart("swarm_reward_cumulative", "last"),
    "loss": _chart("trainer_loss"),
    "round": _chart("swarm_round", "last"),
    "connected_peers": _chart("swarm_connected_peers"),
    "cpu_seconds_total": _chart("trainer_cpu_seconds_total", "last"),
    "accelerator_memory_bytes": _chart("trainer_accelerator_memory_bytes", "max"),
    "host_memory_available_bytes": _chart("host_memory_available_bytes", "min"),
    "host_swap_used_bytes": _chart("host_swap_used_bytes", "max"),
    "host_disk_free_bytes": _chart("host_disk_free_bytes", "min"),
    "reward_std": _chart("trainer_reward_std"),
    "entropy": _chart("trainer_entropy"),
    "kl": _chart("trainer_kl"),
    "completion_tokens": _chart("trainer_completion_tokens"),
    "completions_cut_off": _chart("trainer_completion_clipped_ratio"),
    "start_timestamp": _last("trainer_start_timestamp_seconds"),
    # Of the peer's first device.
    "accelerator_utilization": _chart("accelerator_utilization_ratio"),
    "accelerator_process_memory_bytes": _chart("accelerator_process_memory_bytes", "max"),
    **{f"{phase}_seconds_total": _last("trainer_phase_seconds_total", trainer_state=phase) for phase in PHASES},
}


def column_of(chart: str, statistic: Statistic) -> int:
    """The column of a summary that holds a chart's statistic."""
    return 1 + list(CHARTS).index(chart) * len(STATISTICS) + STATISTICS.index(statistic)


def count_summary_decimals(column: int) -> int:
    if column == SAMPLES_COLUMN:
        return 0
    series = list(CHARTS.values())[(column - 1) // len(STATISTICS)].series
    statistic = STATISTICS[(column - 1) % len(STATISTICS)]
    return count_decimals(series) + (1 if statistic == "mean" else 0)


def read_chart(chart: str, block: Block, ids: Mapping[int, SeriesName]) -> list[float | None] | None:
    """A chart's value at each sample of a block; None where the block has no such series."""
    if chart == "state":
        return _read_states(block, ids)
    wanted = CHARTS[chart].series
    for number, column in block.columns.items():
        series = ids.get(number)
        if series is not None and series.name == wanted.name and wanted.labels <= series.labels:
            return column
    return None


def columns_for(charts: Iterable[str], ids: Mapping[int, SeriesName]) -> set[int]:
    """The columns of a block of samples that these charts are read from."""
    names = {CHARTS[chart].series.name for chart in charts}
    if "state" in charts:
        names |= {"trainer_up", "trainer_state", "trainer_start_timestamp_seconds", FAILURE}
        names |= {"trainer_phase_start_timestamp_seconds"}
    return {number for number, series in ids.items() if series.name in names}


def summarize(block: Block, ids: Mapping[int, SeriesName], slot_seconds: float = SLOT_SECONDS) -> Block:
    """The slots of a block of samples."""
    slots = _slots(block.times, slot_seconds)
    columns: dict[int, list[float | None]] = {SAMPLES_COLUMN: [float(len(rows)) for rows in slots.values()]}
    for chart in CHARTS:
        values = read_chart(chart, block, ids)
        if values is not None and any(value is not None for value in values):
            _add(columns, chart, ([v for row in rows if (v := values[row]) is not None] for rows in slots.values()))
    return Block(list(slots), columns)


def merge(block: Block, slot_seconds: float) -> Block:
    """Merges the slots of a summary into longer ones."""
    slots = _slots(block.times, slot_seconds)
    samples = [value or 0.0 for value in block.columns[SAMPLES_COLUMN]]
    columns: dict[int, list[float | None]] = {
        SAMPLES_COLUMN: [sum(samples[row] for row in rows) for rows in slots.values()]
    }
    for number, column in block.columns.items():
        if number != SAMPLES_COLUMN:
            statistic = STATISTICS[(number - 1) % len(STATISTICS)]
            columns[number] = [_join(statistic, rows, column, samples) for rows in slots.values()]
    return Block(list(slots), columns)


def _add(columns: dict[int, list[float | None]], chart: str, by_slot: Iterable[list[float]]) -> None:
    first, kept = column_of(chart, STATISTICS[0]), CHARTS[chart].kept
    rows = [(sum(v) / len(v), min(v), max(v), v[-1]) if v else (None,) * len(STATISTICS) for v in by_slot]
    for offset, column in enumerate(zip(*rows, strict=True)):
        if STATISTICS[offset] in kept:
            columns[first + offset] = list(column)


def _join(
    statistic: Statistic, rows: Sequence[int], column: Sequence[float | None], samples: Sequence[float]
) -> float | None:
    known = [(value, samples[row]) for row in rows if (value := column[row]) is not None]
    if not known:
        return None
    if statistic == "mean":
        weight = sum(count for _, count in known)
        return sum(value * count for value, count in known) / weight if weight else known[-1][0]
    values = [value for value, _ in known]
    return min(values) if statistic == "min" else max(values) if statistic == "max" else values[-1]


def _slots(times: Sequence[float], seconds: float) -> dict[float, list[int]]:
    """The rows of each slot by its start, in order of time."""
    slots: dict[float, list[int]] = {}
    for row, at in enumerate(times):
        slots.setdefault(at - at % seconds, []).append(row)
    return dict(sorted(slots.items()))


def _read_states(block: Block, ids: Mapping[int, SeriesName]) -> list[float | None]:
    """The state at each sample as its place in STATES."""
    columns: dict[str, list[float | None]] = {}
    phases: list[tuple[str, list[float | None]]] = []
    for number, column in block.columns.items():
        series = ids.get(number)
        if series is None:
            continue
        if series.name == "trainer_state":
            phases.append((dict(series.labels).get("trainer_state", ""), column))
        elif series.name == FAILURE:
            merged = columns.setdefault(FAILURE, [None] * len(column))
            columns[FAILURE] = [one if one is not None else more for one, more in zip(merged, column, strict=True)]
        else:
            columns[series.name] = column
    return [_state_at(row, columns, phases) for row in range(len(block.times))]


def _state_at(
    row: int, columns: Mapping[str, Sequence[float | None]], phases: Iterable[tuple[str, Sequence[float | None]]]
) -> float | None:
    def value(name: str) -> float | None:
        column = columns.get(name)
        return None if column is None else column[row]

    started, changed = value("trainer_start_timestamp_seconds"), value("trainer_phase_start_timestamp_seconds")
    is_current = started is None or (changed is not None and changed >= started)
    reported = next((phase for phase, column in phases if column[row] == 1), None)
    up = value("trainer_up")
    state = peer_state(
        is_reachable=value(FAILURE) is None,
        is_up=None if up is None else up == 1,
        phase=reported if is_current else "starting",
    )
    return float(STATES.index(state)) if state in STATES else None
