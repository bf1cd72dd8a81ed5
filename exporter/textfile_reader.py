"""Reads trainer.prom, and accepts only the metrics that a trainer writes: another user may have changed the file."""

import math
import re
from collections import Counter
from pathlib import Path

from exporter.metrics import STATES, TRAINER, Metric, Sample
from exporter.run_folder import METRICS_FILE, read_bounded

# A hundred times what a trainer writes.
MAX_BYTES = 1 << 20
MAX_LABEL_CHARACTERS = 256
MAX_BUCKETS = 64

_METRICS = {metric.name: metric for metric in TRAINER}
_BY_SAMPLE = {sample: metric for metric in TRAINER for sample in metric.sample_names()}
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*")
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"[ \t]*(?:,|$)')
_ESCAPE = re.compile(r"\\(.)")


class TextfileReader:
    """The trainer.prom of one run folder, read and parsed once per collection, however many collectors want it."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._last: tuple[float, list[Sample] | OSError | ValueError] | None = None

    def read(self, now: float) -> list[Sample]:
        """The samples for the collection at the Unix time `now`. Raises OSError or ValueError, to each caller."""
        # One local value: a collector that hung may read for its older collection at the same time.
        last = self._last
        if last is None or last[0] != now:
            last = self._last = now, self._read()
        if isinstance(last[1], list):
            return last[1]
        raise last[1].with_traceback(None)

    def _read(self) -> list[Sample] | OSError | ValueError:
        try:
            return read(self._run_dir)
        except (OSError, ValueError) as error:
            return error


def read(run_dir: Path) -> list[Sample]:
    """The samples in the trainer.prom of a run folder. Raises OSError or ValueError."""
    return parse(read_bounded(run_dir / METRICS_FILE, MAX_BYTES).decode())


def parse(text: str) -> list[Sample]:
    """The trainer's metrics in a text of the Prometheus format; other metrics and time stamps are left out.

    Raises ValueError where the text is cut off or malformed, or a metric of the trainer does not have the form that
    `metrics.TRAINER` gives it.
    """
    if not text.endswith("\n"):
        raise ValueError(f"{METRICS_FILE} is empty or cut off")
    samples = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            sample = _parse_line(line)
        except ValueError as error:
            raise ValueError(f"{METRICS_FILE}:{number}: {error}") from None
        if sample:
            samples.append(sample)
    _check_series(samples)
    # A value that is not finite was not measured.
    return [sample for sample in samples if math.isfinite(sample.value)]


def value_of(samples: list[Sample], name: str) -> float | None:
    """The value of a metric without labels, None where it is absent."""
    return next((sample.value for sample in samples if sample.name == name), None)


def _parse_line(line: str) -> Sample | None:
    line = line.strip(" \t\r")
    if line.startswith("#"):
        _check_type(line.split())
        return None
    if not line:
        return None
    found = _SAMPLE.fullmatch(line)
    if not found:
        raise ValueError("not a line of the text format")
    name, labels, value = found.groups()
    metric = _BY_SAMPLE.get(name)
    if metric is None:
        return None
    sample = Sample(name, _parse_labels(labels or ""), float(value))
    _check_form(metric, sample)
    return sample


def _check_type(words: list[str]) -> None:
    if words[:2] == ["#", "TYPE"] and len(words) == 4:
        metric = _METRICS.get(words[2])
        if metric and metric.kind != words[3]:
            raise ValueError(f"{metric.name} is a {metric.kind}, not a {words[3]}")


def _parse_labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    position = 0
    while position < len(text):
        found = _LABEL.match(text, position)
        if not found or found.group(1) in labels:
            raise ValueError("malformed labels")
        labels[found.group(1)] = _ESCAPE.sub(lambda escape: {"n": "\n"}.get(escape[1], escape[1]), found.group(2))
        position = found.end()
    return labels


def _check_form(metric: Metric, sample: Sample) -> None:
    expected = {*metric.labels, "le"} if sample.name.endswith("_bucket") else {*metric.labels}
    if sample.labels.keys() != expected:
        raise ValueError(f"{sample.name} must have the labels {sorted(expected)}")
    if any(len(value) > MAX_LABEL_CHARACTERS for value in sample.labels.values()):
        raise ValueError(f"{sample.name} has a label longer than {MAX_LABEL_CHARACTERS} characters")
    if "trainer_state" in expected and sample.labels["trainer_state"] not in STATES:
        raise ValueError(f"{sample.name} has an unknown state")
    if "le" in expected:
        float(sample.labels["le"])
    if metric.kind != "gauge" and not 0 <= sample.value < math.inf:
        raise ValueError(f"{sample.name} is not a count")


def _check_series(samples: list[Sample]) -> None:
    series = Counter((sample.name, *sorted(sample.labels.items())) for sample in samples)
    lines = Counter(sample.name for sample in samples)
    if any(count > 1 for count in series.values()):
        raise ValueError(f"{METRICS_FILE} has a duplicate series")
    if lines["trainer_info"] > 1 or lines["trainer_settings_info"] > 1:
        raise ValueError(f"{METRICS_FILE} describes more than one trainer")
    for metric in TRAINER:
        if metric.kind == "histogram":
            _check_histogram(metric, [sample for sample in samples if _BY_SAMPLE[sample.name] is metric])


def _check_histogram(metric: Metric, samples: list[Sample]) -> None:
    if not samples:
        return
    buckets = {float(sample.labels["le"]): sample.value for sample in samples if "le" in sample.labels}
    counts = [buckets[bound] for bound in sorted(buckets)]
    count = value_of(samples, f"{metric.name}_count")
    if len(buckets) > MAX_BUCKETS or len(samples) != len(buckets) + 2 or counts != sorted(counts):
        raise ValueError(f"{metric.name} is not a complete histogram")
    if math.inf not in buckets or buckets[math.inf] != count:
        raise ValueError(f"{metric.name} does not count what its buckets hold")
