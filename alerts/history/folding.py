"""Maintenance of the history in small steps: folds complete hours, thins and deletes old ones."""

import time

from alerts.history.archive import read_blocks
from alerts.history.block import Block, decode, encode
from alerts.history.samples import count_decimals
from alerts.history.settings import HistorySettings
from alerts.history.store import GROUP, Span, Store
from alerts.history.summary import SLOT_SECONDS, count_summary_decimals, merge, summarize
from alerts.history.thinning import thin

BLOCK_SECONDS = 3600.0
LONG_SLOT_SECONDS = 3600.0
DAY_SECONDS = 86400.0
# A block is made before its hour is over where the loop samples very often.
MAX_BLOCK_SAMPLES = 1500
# The samples of so many subjects are in memory at once.
_AT_ONCE = 8
# Lets the loop's thread run between two steps.
_PAUSE_SECONDS = 0.005
_ROWS_AT_ONCE = 100
_PAGES_AT_ONCE = 64
_PIECES = 8


class Folder:
    """Does the maintenance that is due, a few steps per call."""

    def __init__(self, store: Store, settings: HistorySettings) -> None:
        self._store = store
        self._settings = settings
        self._series = {number: series for series, number in store.series.items()}

    def work(self, now: float) -> None:
        """One round of maintenance; `now` in epoch seconds."""
        for crowd in self._store.crowds():
            is_folded = False
            while self.fold(crowd):
                is_folded = True
            if is_folded:
                self._lengthen_slots(crowd)
        for _ in range(_PIECES):
            if not self._make_room(now):
                return
            time.sleep(_PAUSE_SECONDS)

    def fold(self, crowd: int) -> bool:
        """Turns a crowd's oldest hour into blocks, if it is over."""
        last = self._store.find_foldable(crowd, BLOCK_SECONDS, MAX_BLOCK_SAMPLES)
        if last is None:
            return False
        self._series = {number: series for series, number in self._store.series.items()}
        folded: dict[int, tuple[Block, bytes, bytes]] = {}
        members = range(crowd * GROUP, (crowd + 1) * GROUP)
        for first in members[::_AT_ONCE]:
            blocks = self._store.read_samples(crowd, last, range(first, first + _AT_ONCE))
            for subject, block in blocks.items():
                folded[subject] = (Block(block.times, {}), self._encode(block), self._summarize(block))
                time.sleep(_PAUSE_SECONDS)
        self._store.fold(crowd, last, folded, SLOT_SECONDS)
        return True

    def _encode(self, block: Block) -> bytes:
        return encode(block.times, block.columns, lambda number: count_decimals(self._series[number]))

    def _summarize(self, block: Block) -> bytes:
        summary = summarize(block, self._series)
        return encode(summary.times, summary.columns, count_summary_decimals)

    def _lengthen_slots(self, crowd: int) -> None:
        """Merges the summaries of a complete day into longer slots, for charts of weeks."""
        for subject in range(crowd * GROUP, (crowd + 1) * GROUP):
            newest = self._store.last_summary_end(subject, SLOT_SECONDS)
            if newest is None:
                continue
            today = newest - newest % DAY_SECONDS
            done = self._store.last_summary_end(subject, LONG_SLOT_SECONDS) or 0.0
            if done < today - DAY_SECONDS:
                self._lengthen(subject, done, today)
                time.sleep(_PAUSE_SECONDS)

    def _lengthen(self, subject: int, since: float, today: float) -> None:
        spans = [s for s in self._store.summaries_between(subject, SLOT_SECONDS, since, today) if s.begins >= since]
        for day in sorted({span.begins - span.begins % DAY_SECONDS for span in spans}):
            parts = [span for span in spans if day <= span.begins < day + DAY_SECONDS]
            blocks = [block for _, block in read_blocks(parts)]
            if not blocks:
                continue
            merged = merge(_join(blocks), LONG_SLOT_SECONDS)
            data = encode(merged.times, merged.columns, count_summary_decimals)
            begins, ends = min(span.begins for span in parts), max(span.ends for span in parts)
            self._store.add_summary(subject, LONG_SLOT_SECONDS, begins, ends, data)

    def _make_room(self, now: float) -> bool:
        """One step: deletes what is too old; thins, then deletes, what exceeds the limit. False if nothing is due."""
        if self._store.forget(now - self._settings.keep, _ROWS_AT_ONCE):
            self._store.give_back(_PAGES_AT_ONCE)
            return True
        if self._store.size_bytes() <= self._settings.max_megabytes * 10**6:
            return self._store.give_back(_PAGES_AT_ONCE)
        span = self._store.oldest_full_block()
        if span is not None:
            self._thin(span)
            return True
        oldest = self._store.oldest_end()
        return oldest is not None and self._store.forget(oldest + BLOCK_SECONDS, _ROWS_AT_ONCE) > 0

    def _thin(self, span: Span) -> None:
        try:
            self._store.replace_block(span.id, self._encode(thin(decode(span.data), self._series)))
        except (ValueError, KeyError):  # A damaged block is useless.
            self._store.drop_block(span.id)


def _join(blocks: list[Block]) -> Block:
    """Concatenates summaries."""
    numbers = {number for block in blocks for number in block.columns}
    columns: dict[int, list[float | None]] = {number: [] for number in numbers}
    for block in blocks:
        for number in numbers:
            columns[number] += block.columns.get(number, [None] * len(block.times))
    return Block([at for block in blocks for at in block.times], columns)
