"""Points for charts, from samples, five-minute slots or hourly slots, whichever is just fine enough.

with Archive(path) as archive:
    series = read_charts(archive, Query(("rig-1",), ("memory_bytes", "rank"), since, until, points=48))
series.values["rig-1"]["rank"]     # one number for each of series.times, None where nothing was measured
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from alerts.history.archive import Archive, read_blocks
from alerts.history.block import Block
from alerts.history.folding import LONG_SLOT_SECONDS
from alerts.history.samples import Subject
from alerts.history.store import Firing, Span
from alerts.history.summary import (
    CHARTS,
    SAMPLES_COLUMN,
    SLOT_SECONDS,
    Statistic,
    column_of,
    columns_for,
    summarize,
)

MAX_POINTS = 2000
# A block may begin so long before the time by which it is found.
_SLACK_SECONDS = 3600.0


class Query(NamedTuple):
    """What to read: peers (or the host) by name, metrics of CHARTS, epoch seconds, the number of points at most, and
    whether to include the least and greatest values.
    """

    peers: Sequence[str]
    metrics: Sequence[str]
    since: float
    until: float
    points: int
    spread: bool = False


@dataclass(frozen=True)
class Series:
    """Points `step` seconds apart. `values`, and `least` and `greatest` if asked for, hold a list for each peer and
    metric.
    """

    times: list[float]
    step: float
    values: dict[str, dict[str, list[float | None]]]
    least: dict[str, dict[str, list[float | None]]]
    greatest: dict[str, dict[str, list[float | None]]]


def read_file(path: Path, query: Query) -> Series:
    """`read_charts` on a file; only gaps if there is none yet. Raises FileError."""
    try:
        with Archive(path) as archive:
            return read_charts(archive, query)
    except FileNotFoundError:
        return _make_series(query, {})


def read_file_with_firings(path: Path, query: Query) -> tuple[Series, list[Firing]]:
    """The same, and the alerts that fired since the query's begin, the earliest first. Raises FileError."""
    try:
        with Archive(path) as archive:
            return read_charts(archive, query), archive.firings(query.since)
    except FileNotFoundError:
        return _make_series(query, {}), []


def read_charts(archive: Archive, query: Query) -> Series:
    """A value for each peer and step, by the statistic that CHARTS names."""
    ids = {
        subject: peer
        for peer in query.peers
        for scope in ("peer", "host")
        if (subject := archive.subjects.get(Subject(scope, peer))) is not None
    }
    slot = _choose_slot(query)
    wanted = columns_for(query.metrics, archive.series)
    columns = {column_of(metric, one) for metric in query.metrics for one in _statistics(metric, query)}
    columns.add(SAMPLES_COLUMN)
    fresh = archive.open_blocks(ids, wanted, query.since - query.since % SLOT_SECONDS)
    rows: dict[str, list[Block]] = {}
    for subject, peer in ids.items():
        found = rows.setdefault(peer, [])
        if slot:
            found += [block for _, block in read_blocks(_read_summaries(archive, subject, slot, query), columns)]
        else:
            spans = (span for span in archive.blocks(subject, query.since) if span.begins <= query.until)
            found += [_as_slots(block, query, archive) for _, block in read_blocks(spans, wanted)]
        if subject in fresh:
            found.append(
                summarize(fresh[subject], archive.series) if slot else _as_slots(fresh[subject], query, archive)
            )
    return _make_series(query, rows)


def _statistics(metric: str, query: Query) -> set[Statistic]:
    """What is read of each slot."""
    usual = CHARTS[metric].statistic
    return {usual, "min", "max"} if query.spread else {usual}


def _choose_slot(query: Query) -> float:
    """The longest stored slot that is no longer than a step; 0 for the samples themselves."""
    step = _step(query)
    return LONG_SLOT_SECONDS if step >= LONG_SLOT_SECONDS else SLOT_SECONDS if step >= SLOT_SECONDS else 0.0


def _read_summaries(archive: Archive, subject: int, slot: float, query: Query) -> Iterator[Span]:
    """Long slots as far as they exist, and short ones after them."""
    since = query.since
    if slot > SLOT_SECONDS:
        for span in archive.summaries(subject, slot, since):
            since = max(since, span.ends + 1e-3)
            if span.begins <= query.until:
                yield span
    for span in archive.summaries(subject, SLOT_SECONDS, since):
        if span.begins <= query.until and span.begins >= since - _SLACK_SECONDS:
            yield span


def _as_slots(block: Block, query: Query, archive: Archive) -> Block:
    """The samples of a block as slots of one step."""
    return summarize(block, archive.series, _step(query))


def _step(query: Query) -> float:
    return max((query.until - query.since) / max(1, min(query.points, MAX_POINTS)), 1e-3)


def _make_series(query: Query, rows: dict[str, list[Block]]) -> Series:
    step = _step(query)
    first = query.since - query.since % step
    count = int((query.until - first) // step) + 1
    series = Series([round(first + index * step, 3) for index in range(count)], round(step, 3), {}, {}, {})
    for peer in query.peers:
        blocks = rows.get(peer, [])
        for metric in query.metrics:
            usual = CHARTS[metric].statistic
            series.values.setdefault(peer, {})[metric] = _points(blocks, metric, usual, (first, step, count))
            if not query.spread:
                continue
            series.least.setdefault(peer, {})[metric] = _points(blocks, metric, "min", (first, step, count))
            series.greatest.setdefault(peer, {})[metric] = _points(blocks, metric, "max", (first, step, count))
    return series


def _points(
    blocks: Iterable[Block], metric: str, statistic: Statistic, grid: tuple[float, float, int]
) -> list[float | None]:
    first, step, count = grid
    points: list[float | None] = [None] * count
    weights = [0.0] * count
    number = column_of(metric, statistic)
    for block in blocks:
        column = block.columns.get(number)
        if column is None:
            continue
        for at, value, samples in zip(block.times, column, block.columns[SAMPLES_COLUMN], strict=True):
            index = int((at - first) / step + 1e-6)
            if value is None or not 0 <= index < count:
                continue
            before = points[index]
            if before is None or statistic == "last":
                points[index] = value
            elif statistic == "mean":
                both = weights[index] + (samples or 0.0)
                points[index] = before + (value - before) * (samples or 0.0) / both if both else value
            else:
                points[index] = min(before, value) if statistic == "min" else max(before, value)
            weights[index] += samples or 0.0
    return points
