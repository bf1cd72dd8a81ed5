"""Recordings of real runs (`record_runs.py`), played through the trainer's model and all rules of learning.

The values are as they were logged, one report in 90 seconds: the pace of a larger model on a slower machine.
"""

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from alerts.engine.evaluate import ActiveRule, AlertStates, evaluate
from alerts.engine.state import Moment
from alerts.rules import View, discover
from alerts.scraping.page import Page, parse
from exporter.metrics import Sample, families
from exporter.progress.model import Progress
from exporter.progress.names import unscored

RUNS = Path(__file__).with_name("runs")
BEGIN, EVERY = 1_700_000_000.0, 90.0
RULES = ("NoLearningSignal", "CompletionsCut", "NonFinite", "PolicyMismatch")
# What must fire at the end of each run, and what it says.
EXPECTED: Mapping[str, Mapping[str, str]] = {
    "healthy": {},
    "healthy-with-kl": {},
    "cut-but-learning": {},
    "all-right": {"NoLearningSignal": "All are right: reward 1, in this run 0."},
    "all-wrong": {"NoLearningSignal": "All are wrong: reward 0, in this run 0 to "},
    "all-zero": {"NoLearningSignal": "All rewards of this run are 0: they do not tell whether that is right."},
    "all-alike": {"NoLearningSignal": "All rewards of this run are 0.7: they do not tell"},
    "all-alike-with-kl": {"NoLearningSignal": "All rewards of this run are 0.7: they do not tell"},
    "all-cut": {
        "CompletionsCut": "No completion ended by itself in 50 logged steps",
        "NoLearningSignal": "All are cut off at the maximum length: reward 0.",
    },
    "rewards-missing": {"NonFinite": "30 logged steps in a row not finite; limit 3."},
    "too-fast": {"NonFinite": " logged steps in a row not finite; limit 3."},
}


class Clock:
    now = BEGIN

    def __call__(self) -> float:
        return self.now


class Collected:
    def __init__(self, samples: list[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Any:
        return families(self._samples)


@cache
def rows(run: str) -> list[dict[str, Any]]:
    """What each step logged, by the trainer's own names."""
    return [json.loads(line) for line in (RUNS / f"{run}.jsonl").read_text().splitlines()[1:]]


def pages(run: str) -> Iterator[tuple[float, Page]]:
    """The page after each report, as the alert loop reads it."""
    clock = Clock()
    progress = Progress(clock=clock, wall_clock=clock)
    progress.begin_training()
    for row in rows(run):
        progress.begin_step()
        clock.now += EVERY
        numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
        progress.take_logged(numbers | unscored(row))
        progress.end_step()
        registry = CollectorRegistry(auto_describe=False)
        up = [Sample("trainer_up", {}, 1.0), Sample("trainer_start_timestamp_seconds", {}, BEGIN)]
        registry.register(Collected([*up, *progress.samples()]))
        yield clock.now, parse(generate_latest(registry).decode())


@cache
def play(run: str) -> dict[str, tuple[float, str, str]]:
    """Of each rule that fired: minutes from the begin, its last severity and sentence. None of them ended."""
    rules = [ActiveRule(name, discover()[name], discover()[name].settings()) for name in RULES]
    states, fired = AlertStates(), {}
    for now, page in pages(run):
        states, events = evaluate([View("a", now, page)], rules, states, Moment(now, EVERY), reminder_seconds=0)
        assert not [event for event in events if event.kind == "resolved"]
        for key in states.firing():
            fired.setdefault(key.rule, (now - BEGIN) / 60)
    return {key.rule: (fired[key.rule], state.severity, state.summary) for key, state in states.firing().items()}


def test_each_recording_has_an_expectation() -> None:
    assert {path.stem for path in RUNS.glob("*.jsonl")} == EXPECTED.keys()


@pytest.mark.parametrize("run", EXPECTED)
def test_a_rule_fires_on_its_own_runs_and_on_no_other(run: str) -> None:
    found = play(run)
    assert found.keys() == EXPECTED[run].keys(), found
    for rule, sentence in EXPECTED[run].items():
        assert sentence in found[rule][2]


def test_weights_that_are_lost_are_critical_within_minutes() -> None:
    minutes, severity, _ = play("too-fast")["NonFinite"]
    first = next(index for index, row in enumerate(rows("too-fast")) if math.isnan(row["grad_norm"]))
    assert severity == "critical"
    assert minutes <= (first + 3) * EVERY / 60


def test_the_filter_of_transformers_hides_the_loss_of_lost_weights() -> None:
    # Without the gradient norm nobody would know.
    assert all(math.isfinite(row["loss"]) for row in rows("too-fast"))


def test_a_gradient_of_rounding_takes_three_times_as_long() -> None:
    assert all(row["grad_norm"] > 0 for row in rows("all-alike"))
    assert 30 <= play("all-zero")["NoLearningSignal"][0] < 33
    assert 90 <= play("all-alike")["NoLearningSignal"][0] < 93


def test_a_healthy_run_may_have_all_of_its_completions_cut_off() -> None:
    # As a published run does, whose reward moves: from here 0.5 to 0.95.
    assert all(row["completions/clipped_ratio"] == 1 for row in rows("cut-but-learning"))
