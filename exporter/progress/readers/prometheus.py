"""A page of metrics in the Prometheus text format, as prime-rl's trainer, verl and vLLM serve it.

Sources: prime_rl/trainer/rl/metrics.py (`trainer_step`, `trainer_loss`, `trainer_last_step_timestamp_seconds`, …),
vllm/v1/metrics/loggers.py (`vllm:num_requests_running`, `vllm:num_requests_waiting`). Any other page is read with a
table `metrics` of its names and what they mean.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from exporter.http_client import HttpClient
from exporter.http_client import ReadError as HttpError
from exporter.progress.clock import read_time
from exporter.progress.names import ACTIVITY_NAMES, CANONICAL, NAMES, without_evaluation
from exporter.progress.options import Options
from exporter.progress.record import ReadError, Record

OPTIONS = ("url", "metrics")

MAX_BYTES = 4 << 20
TIMEOUT_SECONDS = 2.0
EXAMPLE = "http://127.0.0.1:8000/metrics"

# What a page's metric may mean besides the names of the table in `exporter.progress.names`.
FIELDS = ("step", "total_steps", "time")
_KNOWN: Mapping[str, str] = {
    "trainer_step": "step",
    "trainer_last_step_timestamp_seconds": "time",
    "training_global_step": "step",
}
_LINE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]{0,200})(?:\{.*\})?[ \t]+([-+]?[0-9a-zA-Z.+-]{1,32})(?:[ \t]+-?\d+)?[ \t]*"
)
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_:]")


class Reader:
    """Reads one page. `activity` is its last number of an inference server's requests, by state: no progress."""

    is_live: ClassVar[bool] = True

    def __init__(self, url: str, metrics: Mapping[str, str] | None = None, *, client: HttpClient | None = None) -> None:
        self._url = url
        # A name with / stands on a page with _ in its place: verl's `actor/pg_loss` is `actor_pg_loss`.
        names = {_NOT_IN_NAMES.sub("_", name): name for known in NAMES.values() for name in known}
        self._meanings = {**names, **_KNOWN, **(metrics or {})}
        self._client = client or HttpClient(timeout_seconds=TIMEOUT_SECONDS, max_bytes=MAX_BYTES)
        self._names = {*self._meanings, *ACTIVITY_NAMES}
        self._last: Record | None = None
        self.activity: Mapping[str, float] = {}

    @classmethod
    def configured(cls, options: Mapping[str, Any], folder: Path) -> Self:
        """The reader for `url`, and `metrics`: names of the page to step, total_steps, time or a canonical name."""
        given = Options(options, OPTIONS)
        metrics = given.table("metrics")
        for theirs, ours in metrics.items():
            if ours not in FIELDS and ours not in CANONICAL:
                meanings = ", ".join((*FIELDS, *CANONICAL))
                raise ValueError(f"metrics: {theirs[:64]!r} means {ours[:64]!r}, which is none of {meanings}")
        return cls(given.url("url", example=EXAMPLE), metrics)

    def read(self, now: float) -> Sequence[Record]:
        """One record where the page changed since the last call; its first values may be old."""
        values = parse(self._get(), self._names)
        self.activity = {ours: values.pop(theirs) for theirs, ours in ACTIVITY_NAMES.items() if theirs in values}
        record = self._make_record(values, now)
        last, self._last = self._last, record
        if record is None or (last and _is_same(last, record)):
            return ()
        return (record,)

    def _get(self) -> str:
        parts = urlsplit(self._url)
        # Neither the password nor a token in the query is repeated.
        shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
        try:
            status, _, body = self._client.get(self._url)
        except HttpError as error:
            raise ReadError(f"{shown}: {str(error).removeprefix(self._url).removeprefix(': ')}") from None
        if status != 200:
            raise ReadError(f"{shown}: answers with status {status}")
        text = body.decode("utf-8", "replace")
        if "<html" in text[:1000].lower():
            raise ReadError(f"{shown}: is a web page, not metrics; name the path, such as {EXAMPLE}")
        return text

    def _make_record(self, values: Mapping[str, float], now: float) -> Record | None:
        fields: dict[str, float] = {}
        numbers: dict[str, float] = {}
        for name, value in values.items():
            meaning = self._meanings.get(name, name)
            (fields if meaning in FIELDS else numbers)[meaning] = value
        numbers = without_evaluation(numbers)
        if not numbers and "step" not in fields:
            return None
        at = read_time(fields.get("time"), now)
        return Record(numbers, _whole(fields.get("step")), at, _whole(fields.get("total_steps")))


def parse(text: str, names: set[str]) -> dict[str, float]:
    """The values of these metrics in a page; one that has several series counts as their sum."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        series = None if line.startswith("#") else _LINE.fullmatch(line)
        if series and series[1] in names:
            try:
                found[series[1]] = found.get(series[1], 0.0) + float(series[2])
            except ValueError:
                continue
    return found


def _is_same(last: Record, record: Record) -> bool:
    """Whether nothing was trained in between: a page has no end, and is served again as it was."""
    if record.step is not None:
        return last.step == record.step
    return repr(last) == repr(record)


def _whole(value: float | None) -> int | None:
    return int(value) if value is not None and 0 <= value < 1e15 else None
