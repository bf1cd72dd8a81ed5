"""Peer-weeks of log-normal and bimodal step times with the problems of real peers, generated from a seed.

The detector's constants were chosen on this family.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.bench.stalls.workload import Activity, Series, Workload, make_workload, simulate

WEEK_SECONDS = 7 * 86400.0
SHORTEST_STEP, LONGEST_STEP = 0.5, 720.0
STEPS_PER_ROUND = 60
# Multiples of the golden ratio, without their whole part, fill the range evenly however many there are.
GOLDEN = (5**0.5 - 1) / 2


class RecordedHang(NamedTuple):
    """A hang at the end of a recorded run: the second at which it began, and the collections since the last step."""

    at: float
    activity: Activity


@dataclass(frozen=True)
class Trace:
    """One peer's week: all arrays have one entry a step, in seconds.

    `generating` is the part of the step that comes first, in which completions are made, 0 where none are or it is not
    known; `saves` and `waits` are what passes after the step, in a phase of its own, before the next step begins;
    `starts` is 1 where the step is the first of a restarted process. `activity` is what the processes did in each
    collection; `hang` where and how the run itself hung at its end, for a recorded one.
    """

    kind: str
    steps: Series
    generating: Series
    saves: Series
    waits: Series
    starts: NDArray[np.bool_]
    workload: Workload
    activity: Activity
    hang: RecordedHang | None = None


def make_traces(count: int, seed: int, shortest: float = SHORTEST_STEP) -> Iterator[Trace]:
    """`count` peer-weeks, the kinds in turn, median step times from `shortest` on spread evenly on a log scale."""
    kinds = (_steady, _heavy_tailed, _bimodal, _drifting, _checkpointing, _round_bound, _restarting)
    for index in range(count):
        random = np.random.default_rng([seed, index])
        place = (index // len(kinds) * GOLDEN + random.uniform(0.0, 0.1) + index % len(kinds) / len(kinds)) % 1.0
        median = float(shortest * (LONGEST_STEP / shortest) ** place)
        yield kinds[index % len(kinds)](random, median)


def shorten(trace: Trace, seconds: float) -> Trace:
    """The beginning of a trace."""
    length = int(np.searchsorted(np.cumsum(trace.steps + trace.saves + trace.waits), seconds))
    fields = ("steps", "generating", "saves", "waits", "starts")
    activity = Activity(*(column[trace.activity.ends <= seconds] for column in trace.activity))
    return replace(trace, activity=activity, **{name: getattr(trace, name)[:length] for name in fields})


def make_trace(
    random: np.random.Generator, kind: str, steps: Series, generating: Series, **extra: Series | NDArray[np.bool_]
) -> Trace:
    """A week of these steps, with what the processes do meanwhile; `shares` is what they get of the processors."""
    nothing = np.zeros(len(steps))
    parts = {"saves": nothing, "waits": nothing, "starts": np.zeros(len(steps), dtype=bool)} | extra
    length = int(np.searchsorted(np.cumsum(steps + parts["saves"] + parts["waits"]), WEEK_SECONDS))
    shares = parts.pop("shares", np.ones(len(steps)))[:length]
    parts = {name: values[:length] for name, values in parts.items()}
    workload = make_workload(random)
    series = steps[:length], generating[:length]
    activity = simulate(random, workload, *series, parts["saves"], parts["waits"], shares)
    return Trace(kind, *series, parts["saves"], parts["waits"], parts["starts"], workload, activity)


def log_normal(random: np.random.Generator, median: float, spread: float) -> Series:
    """Log-normal step times, enough for the week."""
    return median * np.exp(spread * random.standard_normal(int(1.1 * WEEK_SECONDS / median) + 10))


def split(random: np.random.Generator, steps: Series) -> Series:
    """The part of each step that makes completions: a share of the peer's own, both parts as uneven as the whole."""
    share = random.uniform(0.3, 0.8) * np.exp(0.1 * random.standard_normal(len(steps)))
    return steps * np.minimum(share, 0.95)


def _steady(random: np.random.Generator, median: float) -> Trace:
    steps = log_normal(random, median, random.uniform(0.02, 0.1))
    return make_trace(random, "steady", steps, split(random, steps))


def _heavy_tailed(random: np.random.Generator, median: float) -> Trace:
    """Completion lengths differ widely: the longest steps are many times the median."""
    steps = log_normal(random, median, random.uniform(0.3, 0.6))
    return make_trace(random, "heavy-tailed", steps, split(random, steps))


def _bimodal(random: np.random.Generator, median: float) -> Trace:
    """Some steps generate and train, some only train; or two tasks of different length take turns."""
    longer = random.uniform(2.0, 6.0)
    steps = log_normal(random, min(median, LONGEST_STEP / longer), 0.08)
    slow = random.random(len(steps)) < random.uniform(0.1, 0.4)
    steps[slow] *= longer
    only_slow_generate = np.where(slow, steps * (1.0 - 1.0 / longer), 0.0)
    return make_trace(random, "bimodal", steps, random.choice([only_slow_generate, split(random, steps)]))


def _drifting(random: np.random.Generator, median: float) -> Trace:
    """Thermal throttling by day and completions that grow over the week."""
    steps = log_normal(random, median, random.uniform(0.05, 0.15))
    at = np.cumsum(steps)
    day = 1 + random.uniform(0.2, 0.8) * (1 + np.sin(2 * np.pi * at / 86400)) / 2
    growth = 1 + random.uniform(0.0, 1.5) * at / WEEK_SECONDS
    steps *= day * growth
    return make_trace(random, "drifting", steps, split(random, steps))


def _checkpointing(random: np.random.Generator, median: float) -> Trace:
    steps = log_normal(random, median, random.uniform(0.03, 0.15))
    saves = np.zeros(len(steps))
    every = int(random.integers(25, 200))
    saves[every::every] = random.uniform(5.0, 240.0, size=len(saves[every::every]))
    return make_trace(random, "checkpoint pauses", steps, split(random, steps), saves=saves)


def _round_bound(random: np.random.Generator, median: float) -> Trace:
    """After each round the peer waits for the swarm, up to the back-off that rl-swarm's peers use."""
    steps = log_normal(random, median, random.uniform(0.05, 0.2))
    waits = np.zeros(len(steps))
    ends = waits[STEPS_PER_ROUND::STEPS_PER_ROUND]
    ends[:] = np.minimum(random.exponential(200.0, size=len(ends)), 900.0)
    return make_trace(random, "round waits", steps, split(random, steps), waits=waits)


def _restarting(random: np.random.Generator, median: float) -> Trace:
    """The process is restarted a few times; its first step is slower, as caches are cold."""
    steps = log_normal(random, median, random.uniform(0.05, 0.2))
    starts = np.zeros(len(steps), dtype=bool)
    starts[random.integers(1, len(steps), size=int(random.integers(2, 15)))] = True
    steps[starts] *= random.uniform(1.5, 3.0)
    return make_trace(random, "restarts", steps, split(random, steps), starts=starts)
