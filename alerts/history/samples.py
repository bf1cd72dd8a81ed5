"""What is kept of an evaluation: every value that a rule or a chart reads, and the loop's own measurements. Pure.

A series is a name with its labels. Values that are not from a page are series named `look_…`.
"""

from collections.abc import Iterator, Mapping
from math import nan
from typing import Any, NamedTuple

from alerts.history.block import Block
from alerts.rules import Scope, View, discover
from alerts.scraping.page import Labels, Page, Places

_NAMES = """
trainer_up trainer_state trainer_steps_total trainer_steps_per_second trainer_start_timestamp_seconds
trainer_phase_start_timestamp_seconds trainer_phase_seconds_total trainer_last_step_timestamp_seconds
trainer_stall_after_seconds
trainer_step_duration_seconds_sum trainer_step_duration_seconds_count trainer_nonfinite_steps_total
trainer_cpu_seconds_total trainer_memory_bytes trainer_memory_limit_bytes trainer_accelerator_memory_bytes
accelerator_utilization_ratio accelerator_process_memory_bytes
trainer_reward_mean trainer_reward_std trainer_loss swarm_round swarm_stage swarm_round_lag swarm_rank
swarm_ranked_peers swarm_reward_cumulative swarm_connected_peers swarm_publish_failures_total
swarm_last_publish_timestamp_seconds swarm_source_up swarm_source_success_timestamp_seconds
swarm_established_rank swarm_established_peers swarm_leader_overruled swarm_reward_refused
sidecar_collector_success host_memory_total_bytes host_memory_available_bytes host_memory_pressure_ratio
host_memory_pressure_level host_swap_used_bytes host_disk_free_bytes host_disk_total_bytes
"""
NAMES = frozenset(_NAMES.split()).union(*(rule.reads for rule in discover().values()))
# Noise beyond what a chart can show; no rule reads these.
_COARSE = {
    "trainer_reward_mean": 4,
    "trainer_reward_std": 4,
    "trainer_loss": 6,
    "trainer_steps_per_second": 5,
    "accelerator_utilization_ratio": 2,
    "trainer_phase_seconds_total": 2,
}
# Of a peer with eight accelerators, twenty collectors and five sources there are some 160.
_MAX_SERIES_PER_SAMPLE = 192
_VIEW_NUMBERS = tuple(name for name, value in View._field_defaults.items() if isinstance(value, float))
# An elapsed time that differs from the clock's by less than this is not stored.
_SAME_SECONDS = 0.05


class SeriesName(NamedTuple):
    """A metric with its labels."""

    name: str
    labels: Labels = frozenset()


class Subject(NamedTuple):
    """A peer, or the host by its name."""

    scope: Scope
    name: str


class HistorySample(NamedTuple):
    """An evaluation of one subject, `elapsed_seconds` after the previous one."""

    view: View
    elapsed_seconds: float


ELAPSED = SeriesName("look_elapsed_seconds")
FAILURE = "look_failure"
_BY_FIELD = {name: SeriesName(f"look_{name}") for name in _VIEW_NUMBERS}


def pick(places: Places) -> list[tuple[SeriesName, int]]:
    """What is kept of pages of this shape: each series with its index in the page's numbers."""
    picked = [
        (SeriesName(name, labels), place)
        for name in sorted(NAMES & places.keys())
        for labels, place in places[name].items()
    ]
    return picked[:_MAX_SERIES_PER_SAMPLE]


def describe(sample: HistorySample, seconds_before: float | None) -> Iterator[tuple[SeriesName, float]]:
    """What is kept of a sample besides its page; `seconds_before` is the time by the clock since the previous one."""
    view = sample.view
    for name, series in _BY_FIELD.items():
        value = getattr(view, name)
        if value:
            yield series, value
    if seconds_before is None or abs(seconds_before - sample.elapsed_seconds) > _SAME_SECONDS:
        yield ELAPSED, sample.elapsed_seconds
    if view.page is None:
        yield SeriesName(FAILURE, frozenset({("text", view.failure)})), 1.0


def restore(
    subject: Subject, block: Block, ids: Mapping[int, SeriesName], before: float | None = None
) -> Iterator[HistorySample]:
    """The samples in a block; `before` is the time of the subject's previous sample."""
    places: dict[str, dict[Labels, int]] = {}
    columns: list[list[float | None]] = []
    own: dict[SeriesName, list[float | None]] = {}
    for number, column in block.columns.items():
        series = ids[number]
        if series.name.startswith("look_"):
            own[series] = column
        else:
            places.setdefault(series.name, {})[series.labels] = len(columns)
            columns.append(column)
    failures = [(dict(series.labels)["text"], column) for series, column in own.items() if series.name == FAILURE]
    fields = [(field, own[series]) for field, series in _BY_FIELD.items() if series in own]
    elapsed = own.get(ELAPSED)
    rows = zip(*columns, strict=True) if columns else (() for _ in block.times)
    for row, (now, numbers) in enumerate(zip(block.times, rows, strict=True)):
        failure = next((text for text, column in failures if column[row] is not None), None)
        page = None
        if failure is None:
            page = Page.of_page(places, [nan if value is None else value for value in numbers], {})
        given: dict[str, Any] = {field: column[row] or 0.0 for field, column in fields}
        elapsed_seconds = None if elapsed is None else elapsed[row]
        if elapsed_seconds is None:
            elapsed_seconds = 0.0 if before is None else now - before
        yield HistorySample(View(subject.name, now, page, failure or "", scope=subject.scope, **given), elapsed_seconds)
        before = now


def count_decimals(series: SeriesName) -> int:
    """How many decimals are kept: milliseconds, millionths of a reward, whole bytes."""
    name = series.name
    if name.endswith("_bytes"):
        return 0
    return _COARSE.get(name, 3 if "_seconds" in name or name.startswith("look_") else 6)
