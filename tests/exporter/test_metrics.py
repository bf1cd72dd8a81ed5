"""The metric table holds the contract's names, and promtool accepts them."""

import math
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from exporter.metrics import ALL, STEP_BUCKETS, Sample, families, histogram, list_series
from tests.programs import require

SERIES = Path(__file__).with_name("series.txt")


class Page:
    def __init__(self, samples):
        self.samples = samples

    def collect(self):
        return families(self.samples)


def render(samples):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Page(samples))
    return generate_latest(registry).decode()


def one_of_each():
    for metric in ALL:
        if metric.kind == "histogram":
            yield from histogram(metric.name, STEP_BUCKETS, [1] * len(STEP_BUCKETS), 12.5)
        else:
            yield Sample(metric.name, dict.fromkeys(metric.labels, "x"), 1.0)


def test_the_checked_in_list_of_series_is_the_table():
    # After a change: python -m exporter.metrics > tests/exporter/series.txt
    assert SERIES.read_text() == list_series()


def test_promtool_accepts_every_metric_of_the_table():
    checked = subprocess.run(
        [require("promtool"), "check", "metrics"], input=render(one_of_each()), capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_metric_without_a_sample_leaves_no_trace_on_the_page():
    assert render([Sample("swarm_rank", {}, 3.0)]) == (
        "# HELP swarm_rank Rank of this peer on the cumulative board, counted from 1.\n"
        "# TYPE swarm_rank gauge\n"
        "swarm_rank 3.0\n"
    )


def test_a_name_outside_the_table_is_an_error():
    with pytest.raises(KeyError):
        families([Sample("swarm_luck", {}, 1.0)])


def test_buckets_count_everything_below_their_bound():
    samples = histogram("trainer_step_duration_seconds", (1.0, math.inf), [2, 3], 9.0)
    assert [(sample.name.rpartition("_")[2], dict(sample.labels), sample.value) for sample in samples] == [
        ("bucket", {"le": "1.0"}, 2),
        ("bucket", {"le": "+Inf"}, 5),
        ("sum", {}, 9.0),
        ("count", {}, 5),
    ]
