"""Days without a problem: no alert fires, whatever the clock and the machine do."""

import json
import math
import random
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from alerts.engine.evaluate import ActiveRule, AlertStates, evaluate
from alerts.engine.state import Moment
from alerts.rules import View, discover
from alerts.scraping.page import parse
from tests.alerts.rules.scenarios import BEGIN, GIB, HOST, MINUTE, SAMPLES, Changes, Scenario, read

HOUR = 60
Step = tuple[float, AlertStates, list[str]]


def _run(
    changes: Callable[[float, float], Changes], minutes: int, jumps: dict[int, float] | None = None
) -> Iterator[Step]:
    """All rules on one peer and its host, minute by minute; `jumps` are seconds by which the clock moves at a minute.

    Yields the time, the states of the alerts and the events.
    """
    rules = [ActiveRule(name, rule, rule.settings()) for name, rule in discover().items() if rule.settings().enabled]
    peer = Scenario("PeerDown", "", changes)
    host = read("".join(f"{SAMPLES[name]} {value}\n" for name, value in HOST.items()))
    alert_states, lead, stepped_at = AlertStates(), 0.0, 0.0
    for minute in range(minutes):
        if minute in (jumps or {}):
            lead += (jumps or {})[minute]
            stepped_at = BEGIN + lead + minute * MINUTE
        now = BEGIN + lead + minute * MINUTE
        page = peer.page(minute, BEGIN + lead)
        assert page is not None
        views = [
            View("a", now, parse(page), clock_stepped_at=stepped_at),
            View("mini", now, host, clock_stepped_at=stepped_at, scope="host"),
        ]
        alert_states, events = evaluate(views, rules, alert_states, Moment(now, MINUTE), reminder_seconds=0)
        yield now, alert_states, [f"{event.kind} {event.key.rule} {event.summary}" for event in events]


def _events(steps: Iterator[Step]) -> list[str]:
    return [text for _, _, events in steps for text in events]


def _demo(minute: float, now: float) -> Changes:
    """A fresh demo peer: a short start, quick rounds, a board that fills, memory that settles, uneven steps."""
    chance = random.Random(minute)
    if minute < 1:
        begun = {"started": now, "phase_start": now, "state": "starting", "last_step": None, "steps": 0, "collector": 0}
        return {**begun, "rank": None, "cumulative": None, "published": None, "connected": 0, "source_up": 0}
    steps = 900 * minute
    return {
        "started": now - minute * MINUTE,
        "state": chance.choice(["training", "waiting", "generating", "saving"]),
        "phase_start": now - 1,
        "steps": steps,
        "step_count": steps,
        "step_seconds": steps * 0.05 * (1 + 0.2 * math.sin(minute / 7)),
        "cumulative": minute * 40,
        "footprint": (0.4 + 0.2 * (1 - math.exp(-minute / 30)) + chance.gauss(0, 0.01)) * GIB,
        "limit": GIB,
        "rank": chance.choice([1, 2]),
        "ranked": 2,
        "lag": chance.choice([0, 0, 1, 2]),
        "connected": 1,
        "failures": minute // 200,
    }


def _asleep(minute: float, now: float) -> Changes:
    """The first page after eight hours of sleep at minute 300: all of its times are from before."""
    before = now - 8 * 3600
    return {"last_step": before, "phase_start": before, "published": before} if minute == 5 * HOUR else {}


def test_a_fresh_demo_fleet_raises_no_alert() -> None:
    assert _events(_run(_demo, 6 * HOUR)) == []


def test_a_day_of_steady_work_raises_no_alert_and_is_remembered_in_little() -> None:
    steps = list(_run(lambda minute, now: {}, 26 * HOUR))
    assert [text for _, _, events in steps for text in events] == []
    memories = steps[-1][1].memories
    assert max(len(json.dumps(memory)) for memory in memories.values()) < 16_000
    # What is remembered goes to the disk when it changes: by most rules, not at every evaluation.
    changes = [
        sum(before[1].memories.get(key) != after[1].memories.get(key) for before, after in pairwise(steps))
        for key in memories
        if key.rule != "RankDrop"
    ]
    assert max(changes) < len(steps) / 4


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86400.0])
def test_a_clock_that_is_set_raises_no_alert(jump: float) -> None:
    assert _events(_run(lambda minute, now: {}, 12 * HOUR, {5 * HOUR: jump})) == []


def test_a_machine_that_slept_raises_no_alert() -> None:
    assert _events(_run(_asleep, 12 * HOUR, {5 * HOUR: 8 * 3600.0})) == []


@pytest.mark.parametrize("missing", sorted(set(SAMPLES) - set(HOST)))
def test_a_missing_sample_raises_no_alert_of_another_kind(missing: str) -> None:
    events = _events(_run(lambda minute, now: {missing: None}, 2 * HOUR))
    expected = {"rank": {"OffBoard"}}.get(missing, set())
    assert {text.split()[1] for text in events} == expected
