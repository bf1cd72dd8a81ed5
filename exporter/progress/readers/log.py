"""What a trainer prints, from the file that its output goes to: reports in one of the formats, and its progress bar.

Where a format prints no step, the progress bar tells it: tqdm draws the bar again right behind what it prints. A bar
alone is progress too. Where output is buffered, reports come later than bars, several at once, and cut by them: then
they are put together again, and carry no step.
"""

import re
import time
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any, ClassVar, Self

from exporter.progress import bars, formats
from exporter.progress.clock import find_zone, read_time
from exporter.progress.follower import LINE_BYTES, Follower
from exporter.progress.formats._pattern import Format as Pattern
from exporter.progress.interleaving import Writers
from exporter.progress.markers import Beginnings, Marker, Words
from exporter.progress.names import CANONICAL, without_evaluation
from exporter.progress.options import Options
from exporter.progress.printed_settings import PRINTED_MARKERS, PrintedSettings
from exporter.progress.record import ReadError, Record

OPTIONS = ("path", "format", "pattern", "zone")

# Trainers that print as another one does.
_SAME = {
    **dict.fromkeys(("trl", "unsloth", "ms_swift", "llama_factory", "openrlhf"), "transformers"),
    **dict.fromkeys(("mlx_lm", "mlx_lm_lora"), "mlx"),
}

# A trainer that began again may print in another format: after so many lines that only look like reports, all are
# tried again.
SILENT_LINES = 100
# Of a call; the last are kept.
MAX_RECORDS = 1000
# Of a processor, in a call; what a trainer of this machine writes takes a hundredth.
MAX_SECONDS = 0.5
# A line just written tells its own time so exactly; else its clock has another zone.
LATE_SECONDS = 900.0

# A time without date counts at the start of a line only, as it may be a duration elsewhere.
_CLOCK = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?|^\W{0,3}\d\d:\d\d:\d\d(?:[.,]\d{1,6})?)"
)
_CLOCK_WITHIN = 80


class Reader:
    """Follows the log of one trainer."""

    is_live: ClassVar[bool] = True

    def __init__(
        self, path: Path, *, is_pattern: bool = False, named: formats.Format | None = None, zone: tzinfo | None = None
    ) -> None:
        self._follower = Follower(path, is_pattern=is_pattern)
        self._named = named
        self._zone = zone
        self._formats: dict[str, formats.Format] = {}
        self._silent_lines = SILENT_LINES
        # All formats' also after one was found: another may follow.
        self._markers = _list_markers(named)
        self._follower.markers = self._markers
        self._writers = Writers()
        self._settings = PrintedSettings()
        self._bar = bars.TrainingBar()
        self._text = ""
        self._is_buffered = False
        # Reports without a step, for which the bar behind them is waited for until the end of the next call.
        self._waiting: list[Record] = []
        self._has_waited = False
        self._records: list[Record] = []
        self._told_step: int | None = None
        self._read_at: float | None = None
        self._reference = 0.0

    @classmethod
    def configured(cls, options: Mapping[str, Any], folder: Path) -> Self:
        """The reader for `path`, and `format` or `pattern`, and `zone` of the clock times that lines begin with."""
        given = Options(options, OPTIONS)
        path, is_pattern = given.pattern("path", folder, example="train.log")
        name = given.choice("format", (*formats.list_names(), *_SAME))
        pattern = given.text("pattern")
        zone = given.text("zone")
        if name and pattern:
            raise ValueError(f"format: {name!r} cannot be named beside a pattern; leave one of them out")
        named = _read_pattern(pattern) if pattern else formats.create(_SAME.get(name, name)) if name else None
        return cls(path, is_pattern=is_pattern, named=named, zone=find_zone(zone) if zone else None)

    @property
    def settings(self) -> Mapping[str, str]:
        """What the training was set up with, where the log prints it."""
        return self._settings.found

    @property
    def followed(self) -> Path:
        """The file that is read; the pattern while it matches none."""
        return self._follower.path

    def read(self, now: float) -> Sequence[Record]:
        """The reports since the last call, and the step that the progress bar shows if it is beyond them."""
        self._records = []
        self._reference = now
        failure = None
        latest = time.thread_time() + MAX_SECONDS
        try:
            for piece in self._follower.read(now):
                self._reference = min(now, self._follower.modified or now)
                self._take(piece)
                is_open = self._text or any(one.is_open() for one in self._formats.values())
                self._follower.markers = None if is_open else self._markers
                if time.thread_time() > latest:
                    break  # The next call goes on behind what was read.
        except ReadError as error:
            failure = error
        self._look_ahead()
        records = self._finish(now)
        self._writers.check(self._follower.path)
        if failure and not records:
            raise failure
        return records

    def _take(self, piece: str) -> None:
        """Takes a line, or the part of one before a carriage return."""
        content = piece.rstrip("\r\n")
        rest, bar = bars.cut(content)
        if bar:
            self._take_bar(bar)
        if rest.strip():
            self._take_text(rest, is_end=piece.endswith("\n"))

    def _take_text(self, text: str, *, is_end: bool) -> None:
        """Joins the parts of a dictionary that bars cut; other text before a carriage return is a line of its own."""
        if text.lstrip().startswith("{") or not self._text or len(self._text) > LINE_BYTES:
            self._text = ""
        self._text += text
        if is_end or "{" not in self._text or self._text.rstrip().endswith("}"):
            self._end_line()

    def _end_line(self) -> None:
        line, self._text = self._text.strip(), ""
        if len(line) <= LINE_BYTES and not self._settings.take(line):
            self._parse(line)

    def _parse(self, line: str) -> None:
        printed = list(self._parse_all(line) if self._silent_lines >= SILENT_LINES else self._parse_known(line))
        self._silent_lines = 0 if printed else min(SILENT_LINES, self._silent_lines + 1)
        for report in printed:
            values = without_evaluation(report.values)
            if values or not report.values:
                at = self._read_clock(line)
                record = Record(values, report.step, at, report.total_steps, report.unit)
                self._add(record._replace(phase=report.phase, round=report.round, stage=report.stage))

    def _parse_known(self, line: str) -> Sequence[formats.Printed]:
        return [report for one in self._formats.values() for report in one.parse(line)]

    def _parse_all(self, line: str) -> Sequence[formats.Printed]:
        """Tries every format until one finds a report of training; that one is used from then on."""
        if len(self._formats) < 2:
            self._formats = (
                {"": self._named} if self._named else {name: formats.create(name) for name in formats.list_names()}
            )
        for name, one in self._formats.items():
            printed = list(one.parse(line))
            if any(without_evaluation(report.values) or not report.values for report in printed):
                self._formats = {name: one}
                return printed
        return ()

    def _read_clock(self, line: str) -> float | None:
        begin = line[:_CLOCK_WITHIN].partition("{'")[0]
        found = _CLOCK.search(begin)
        at = read_time(found[1].lstrip("[(< "), self._reference, self._zone) if found else None
        if at is None or self._read_at is None or at >= self._read_at - LATE_SECONDS:
            return at
        return None

    def _add(self, record: Record) -> None:
        if record.step is not None or record.is_notice or not self._bar.last or self._is_buffered:
            self._append(record)
            return
        self._has_waited &= bool(self._waiting)
        self._waiting.append(record)
        if len(self._waiting) > 1:
            self._is_buffered = True
            self._release()

    def _take_bar(self, bar: bars.Bar) -> None:
        if "{" in self._text:
            self._is_buffered = True
        before = self._bar.last
        if not self._bar.accept(bar, with_report=len(self._waiting) == 1 and not self._is_buffered):
            return
        if bar != before:
            self._writers.note_bar(bar.step)
        if not self._release() and bar != before and bar.step and bar.step != self._told_step:
            self._append(Record({}, bar.step, None, bar.total_steps))

    def _release(self) -> bool:
        """Gives the reports that waited; whether there was one to which the bar's step belongs."""
        waiting, self._waiting = self._waiting, []
        bar = None if self._is_buffered else self._bar.last
        for record in waiting:
            self._append(record._replace(step=bar.step, total_steps=bar.total_steps) if bar else record)
        return bool(waiting and bar)

    def _append(self, record: Record) -> None:
        """Adds a record; one that only a bar told gives way to the next."""
        if record.is_notice:
            self._records.append(record)
            return
        bar = self._bar.last
        if record.total_steps is None and bar and record.step is not None and abs(bar.step - record.step) <= 1:
            record = record._replace(total_steps=bar.total_steps)
        if record.values:
            self._writers.note(record.values, record.step)
        last = self._records[-1] if self._records else None
        is_of_bar = last and last.step is not None and not last.values and last.unit == record.unit == "step"
        if is_of_bar and record.step is not None:
            self._records.pop()
        self._records.append(record)
        self._told_step = record.step
        if len(self._records) > MAX_RECORDS:
            del self._records[: MAX_RECORDS // 2]

    def _look_ahead(self) -> None:
        """Takes the newest bar, which has no end yet."""
        _, bar = bars.cut(self._follower.partial)
        if bar:
            self._take_bar(bar)
        if self._waiting and self._has_waited:
            self._release()
        self._has_waited = True

    def _finish(self, now: float) -> list[Record]:
        records, self._records = self._records, []
        # Before the clock went back lies another day, or another zone.
        earliest = float("inf")
        for place in range(len(records) - 1, -1, -1):
            at = records[place].at
            if at is not None and at > earliest + 1.0:
                records[place] = records[place]._replace(at=None)
            elif at is not None:
                earliest = at
        if records and records[-1].at is None and self._follower.modified is not None:
            records[-1] = records[-1]._replace(at=min(now, self._follower.modified))
        self._read_at = now
        return records


def _list_markers(named: formats.Format | None) -> tuple[Marker, ...] | None:
    found = [bars.MARKER]
    for one in [named] if named else map(formats.create, formats.list_names()):
        if one.markers is None:
            return None
        found += one.markers
    return (Beginnings(*PRINTED_MARKERS), *map(Words, dict.fromkeys(found)))


def _read_pattern(text: str) -> Pattern:
    try:
        pattern = Pattern(text)
    except ValueError as error:
        raise ValueError(f"pattern: {text[:64]!r} {error}") from None
    unknown = [name for name in pattern.names if name not in CANONICAL]
    if unknown:
        raise ValueError(
            f"pattern: {unknown[0][:64]!r} is no metric; name a group step or one of {', '.join(CANONICAL)}"
        )
    return pattern
