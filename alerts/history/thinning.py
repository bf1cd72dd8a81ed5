"""Which samples of a block are kept when space runs out. Pure.

Spikes, restarts and changes are kept; between them, one sample per slot.
"""

from collections.abc import Mapping, Sequence

from alerts.history.block import Block
from alerts.history.samples import ELAPSED, FAILURE, SeriesName
from alerts.history.summary import SLOT_SECONDS

# A change in one of these is an event that must be kept.
_EVENTFUL = frozenset(
    {
        "trainer_up",
        "trainer_start_timestamp_seconds",
        "swarm_source_up",
        "sidecar_collector_success",
        "swarm_rank",
        "swarm_round",
        "trainer_nonfinite_steps_total",
        "swarm_publish_failures_total",
        "host_memory_pressure_level",
        FAILURE,
    }
)
_SPIKING = frozenset({"trainer_memory_bytes", "host_memory_pressure_ratio", "host_swap_used_bytes"})


def thin(block: Block, ids: Mapping[int, SeriesName]) -> Block:
    """Keeps the last sample of each slot, those with its greatest memory, and those around each change."""
    kept = _last_rows(block.times)
    for number, column in block.columns.items():
        series = ids.get(number)
        if series is None:
            continue
        if series == ELAPSED:
            kept |= {row for row, value in enumerate(column) if value is not None}
        elif series.name in _EVENTFUL:
            kept |= _changes(column)
        elif series.name in _SPIKING:
            kept |= _peaks(block.times, column)
    rows = sorted(kept)
    return Block(
        [block.times[row] for row in rows],
        {number: [column[row] for row in rows] for number, column in block.columns.items()},
    )


def _last_rows(times: Sequence[float]) -> set[int]:
    return set({at // SLOT_SECONDS: row for row, at in enumerate(times)}.values())


def _changes(column: Sequence[float | None]) -> set[int]:
    """The samples on both sides of each change."""
    changed = {row for row in range(1, len(column)) if column[row] != column[row - 1]}
    return changed | {row - 1 for row in changed}


def _peaks(times: Sequence[float], column: Sequence[float | None]) -> set[int]:
    peaks: dict[float, tuple[float, int]] = {}
    for row, (at, value) in enumerate(zip(times, column, strict=True)):
        if value is not None:
            slot = at // SLOT_SECONDS
            peaks[slot] = max(peaks.get(slot, (value, row)), (value, row))
    return {row for _, row in peaks.values()}
