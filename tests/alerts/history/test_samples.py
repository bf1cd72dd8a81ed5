"""A sample comes back as it was, and holds all that rules read."""

import ast
import re
from pathlib import Path

import pytest

from alerts import rules
from alerts.history.block import Block
from alerts.history.samples import NAMES, HistorySample, Subject, describe, pick, restore
from alerts.history.summary import CHARTS
from alerts.rules import View
from alerts.scraping.page import Page
from tests.alerts.history.scenes import START, Peer

_METRIC = re.compile(r"(trainer|swarm|sidecar|host|accelerator)_[a-z_]+")


def _again(sample: HistorySample, before: float | None) -> HistorySample:
    numbers = dict(describe(sample, None if before is None else sample.view.now - before))
    page = sample.view.page
    if page is not None:
        numbers |= {series: page.numbers[place] for series, place in pick(page.places)}
    ids = dict(enumerate(numbers))
    block = Block([sample.view.now], {number: [numbers[series]] for number, series in ids.items()})
    (again,) = restore(Subject(sample.view.scope, sample.view.peer), block, ids, before)
    return again


def test_a_sample_comes_back_with_every_number_that_is_kept() -> None:
    samples = Peer("a", 1).samples(START + 100)
    sample = HistorySample(View("a", START + 100, Page(samples), unreachable_seconds=3.5, clock_stepped_at=START), 15.0)
    again = _again(sample, START + 84.99)
    assert again.view.page is not None
    for name in NAMES:
        assert again.view.page.values(name) == samples.get(name, {})
    assert again.elapsed_seconds == pytest.approx(15.01)
    for name in set(View._fields) - {"page", "memory", "restart"}:
        assert getattr(again.view, name) == getattr(sample.view, name)


def test_an_elapsed_time_that_differs_from_the_clock_is_kept() -> None:
    """As after a start, a sleep of the machine, or a clock that was set."""
    sample = HistorySample(View("a", START, Page({})), 35.0)
    for before in (None, START - 7200, START + 3600):
        assert _again(sample, before).elapsed_seconds == 35.0


def test_a_failed_scrape_comes_back_with_its_reason() -> None:
    again = _again(HistorySample(View("a", START, None, "no connection", 75.0), 15.0), START - 15)
    assert (again.view.page, again.view.failure, again.view.unreachable_seconds) == (None, "no connection", 75.0)


def test_a_page_with_endless_labels_is_kept_in_part() -> None:
    collectors = {frozenset({("collector", str(number))}): 1.0 for number in range(4000)}
    sample = HistorySample(View("a", START, Page({"sidecar_collector_success": collectors})), 15.0)
    page = sample.view.page
    assert page is not None
    assert len(pick(page.places)) < 200


def test_every_metric_that_a_rule_or_a_chart_reads_is_kept() -> None:
    folder = Path(rules.__file__).parent
    read = {
        node.value
        for path in [*folder.glob("*.py"), folder.parent / "scraping" / "page.py"]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _METRIC.fullmatch(node.value)
    }
    assert {"trainer_up", "host_disk_free_bytes"} <= read
    assert read <= NAMES | {"trainer_", "host_"}
    assert {chart.series.name for chart in CHARTS.values()} <= NAMES | {"state"}
