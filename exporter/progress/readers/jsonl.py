"""One JSON object a line, as trainers and their loggers append it to a file.

    {"step": 5, "time": 1782000000.0, "reward/all/mean": 0.5}     prime-rl, prime_rl/utils/monitor/file.py
    {"step": 5, "data": {"actor/pg_loss": 0.1}}                   verl, verl/utils/tracking.py (FileLogger)
    {"loss": 0.1, "global_step/max_steps": "5/100"}               ms-swift, swift/trainers/patcher.py
    {"current_steps": 5, "total_steps": 100, "loss": 0.1}         LLaMA-Factory, llamafactory/train/callbacks.py

Any other is read too; `step`, `total_steps` and `time` name its keys, with dots for objects within objects.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from exporter.progress.clock import find_zone, read_time
from exporter.progress.follower import Follower
from exporter.progress.interleaving import Writers
from exporter.progress.names import unscored, without_evaluation
from exporter.progress.options import Options
from exporter.progress.record import ReadError, Record

OPTIONS = ("path", "step", "total_steps", "time", "zone")

MAX_RECORDS = 1000
# Of a processor, in a call; what a trainer of this machine writes takes a hundredth.
MAX_SECONDS = 0.5
MAX_VALUES = 2000
MAX_DEPTH = 3
# So many rows without the key that is to tell their step: another name is meant.
ROWS_WITHOUT_STEP = 20
# A row just written tells its own time so exactly; else its clock has another zone.
LATE_SECONDS = 900.0

# Where the step stands in the rows of known writers, and a value such as 5/100 tells the total too.
_STEPS = (
    *("step", "global_step", "current_steps", "global_step/max_steps", "steps[global_step/max_steps]"),
    *("_step", "train/global_step", "iteration", "iter"),
)
_TOTALS = ("total_steps", "max_steps")
_TIMES = ("time", "timestamp", "_timestamp", "ts", "datetime")
# Objects that only hold the values.
_HOLDERS = frozenset({"data", "metrics", "logs", "values"})


class Keys(NamedTuple):
    """Where a row tells its step, the total and the time, in the order to look."""

    steps: Sequence[str] = _STEPS
    totals: Sequence[str] = _TOTALS
    times: Sequence[str] = _TIMES


class Reader:
    """Follows the file of one trainer."""

    is_live: ClassVar[bool] = True

    def __init__(
        self, path: Path, keys: Keys | None = None, *, is_pattern: bool = False, zone: tzinfo | None = None
    ) -> None:
        self._follower = Follower(path, is_pattern=is_pattern)
        self._keys = keys or Keys()
        self._zone = zone
        self._writers = Writers()
        self._rows_without_step = 0
        self._read_at: float | None = None

    @classmethod
    def configured(cls, options: Mapping[str, Any], folder: Path) -> Self:
        """The reader for `path`, the keys `step`, `total_steps` and `time`, and the `zone` of times without one."""
        given = Options(options, OPTIONS)
        path, is_pattern = given.pattern("path", folder, example="metrics.jsonl")
        named = [given.text(name) for name in ("step", "total_steps", "time")]
        keys = Keys(*((name,) if name else usual for name, usual in zip(named, Keys(), strict=True)))
        zone = given.text("zone")
        return cls(path, keys, is_pattern=is_pattern, zone=find_zone(zone) if zone else None)

    def read(self, now: float) -> Sequence[Record]:
        """The rows since the last call; rows of one step that follow each other are one record."""
        records: list[Record] = []
        failure = None
        latest = time.thread_time() + MAX_SECONDS
        try:
            for line in self._follower.read(now):
                record = self._parse(line, min(now, self._follower.modified or now))
                if record:
                    _append(records, record)
                if time.thread_time() > latest:
                    break  # The next call goes on behind what was read.
        except ReadError as error:
            failure = error
        for record in records:
            self._writers.note(record.values, record.step)
        self._writers.check(self._follower.path)
        if self._rows_without_step >= ROWS_WITHOUT_STEP and self._keys.steps is not _STEPS:
            raise ReadError(f"{self._follower.path}: no row has the key {self._keys.steps[0]!r} that step names")
        if failure and not records:
            raise failure
        self._read_at = now
        return _date_last(records, self._follower.modified, now)

    def _parse(self, line: str, reference: float) -> Record | None:
        row = parse_object(line)
        if row is None:
            return None
        step, total = _read_step(row, self._keys)
        self._rows_without_step = self._rows_without_step + 1 if step is None else 0
        told = {*self._keys.steps, *self._keys.totals, *self._keys.times, "epoch"}
        numbers = dict(islice(flatten(row), MAX_VALUES)) | unscored(row)
        values = without_evaluation({name: value for name, value in numbers.items() if name not in told})
        if not values and (step is None or numbers.keys() - told):
            return None
        if "epoch" in numbers:
            values["epoch"] = numbers["epoch"]
        return Record(values, step, self._read_time(row, reference), total)

    def _read_time(self, row: Mapping[str, Any], reference: float) -> float | None:
        found = next((value for key in self._keys.times if (value := find(row, key)) is not None), None)
        at = read_time(found, reference, self._zone)
        if at is None or self._read_at is None or at >= self._read_at - LATE_SECONDS:
            return at
        return None


def parse_object(text: str) -> dict[str, Any] | None:
    """The JSON object of a line; None for anything else."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def find(row: Mapping[str, Any], key: str) -> Any:
    """The value under a key, or along a path of keys divided by dots; None where there is none."""
    if key in row:
        return row[key]
    head, dot, rest = key.partition(".")
    inner = row.get(head)
    return find(inner, rest) if dot and isinstance(inner, dict) else None


def flatten(row: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    """The numbers of an object and of the objects in it, whose names are joined with dots."""
    for name, value in row.items():
        if isinstance(value, dict):
            if depth < MAX_DEPTH:
                yield from flatten(value, prefix if name in _HOLDERS else f"{prefix}{name}.", depth + 1)
        elif (number := read_number(value)) is not None:
            yield f"{prefix}{name}", number


def read_number(value: Any) -> float | None:
    """A number of JSON, or one in quotes; None for anything else, so for true and false."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and (len(value) > 32 or "_" in value):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _read_step(row: Mapping[str, Any], keys: Keys) -> tuple[int | None, int | None]:
    found = next((value for key in keys.steps if (value := find(row, key)) is not None), None)
    total = next((value for key in keys.totals if (value := find(row, key)) is not None), None)
    if isinstance(found, str):
        found, slash, after = found.partition("/")
        total = after if slash else total
    return _whole(found), _whole(total)


def _whole(value: Any) -> int | None:
    number = read_number(value)
    return int(number) if number is not None and 0 <= number < 1e15 else None


def _append(records: list[Record], record: Record) -> None:
    last = records[-1] if records else None
    if last and last.step is not None and last.step == record.step and not last.values.keys() & record.values.keys():
        records[-1] = record._replace(
            values={**last.values, **record.values},
            at=last.at if record.at is None else record.at,
            total_steps=last.total_steps if record.total_steps is None else record.total_steps,
        )
        return
    records.append(record)
    if len(records) > MAX_RECORDS:
        del records[: MAX_RECORDS // 2]


def _date_last(records: list[Record], modified: float | None, now: float) -> list[Record]:
    if records and records[-1].at is None and modified is not None:
        records[-1] = records[-1]._replace(at=min(now, modified))
    return records
