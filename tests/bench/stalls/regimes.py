"""Peer-weeks whose steps suddenly take longer: nightly backups, other jobs, other tasks, heat, and rare long steps.

No constant of the detector was chosen on this family.
"""

from collections.abc import Iterator

import numpy as np

from tests.bench.stalls.traces import (
    GOLDEN,
    LONGEST_STEP,
    SHORTEST_STEP,
    WEEK_SECONDS,
    Trace,
    log_normal,
    make_trace,
    split,
)
from tests.bench.stalls.workload import Series

DAY_SECONDS = 86400.0
HOUR_SECONDS = 3600.0


def make_regimes(count: int, seed: int, shortest: float = SHORTEST_STEP) -> Iterator[Trace]:
    """`count` peer-weeks, the kinds in turn; medians spread as in `traces`, up to a third of its longest."""
    kinds = (_backups, _co_tenants, _tasks, _heat, _rare_multiples, _for_good)
    for index in range(count):
        random = np.random.default_rng([seed, index, 1])
        place = (index // len(kinds) * GOLDEN + random.uniform(0.0, 0.1) + index % len(kinds) / len(kinds)) % 1.0
        median = float(shortest * (LONGEST_STEP / 3.0 / shortest) ** place)
        yield kinds[index % len(kinds)](random, median)


def _backups(random: np.random.Generator, median: float) -> Trace:
    """Each night, for one to three hours, the machine does something else too."""
    begins = random.uniform(0.0, DAY_SECONDS) + np.arange(-1, 8) * DAY_SECONDS + random.normal(0.0, 300.0, 9)
    return _slowed(random, "nightly backups", median, begins, begins + random.uniform(1.0, 3.0) * HOUR_SECONDS, True)


def _co_tenants(random: np.random.Generator, median: float) -> Trace:
    """Other jobs come and go on the machine, ten minutes to six hours each."""
    begins = np.sort(random.uniform(0.0, WEEK_SECONDS, int(random.integers(5, 40))))
    hours = np.exp(random.uniform(np.log(1 / 6), np.log(6.0), len(begins)))
    return _slowed(random, "co-tenants", median, begins, begins + hours * HOUR_SECONDS, True)


def _tasks(random: np.random.Generator, median: float) -> Trace:
    """The task changes a few times a day, and with it how long completions are."""
    begins = np.sort(random.uniform(0.0, WEEK_SECONDS, int(random.integers(4, 30))))
    return _slowed(random, "other tasks", median, begins, begins + random.uniform(2.0, 8.0) * HOUR_SECONDS, False)


def _heat(random: np.random.Generator, median: float) -> Trace:
    """It throttles in the afternoon, from one step to the next."""
    begins = random.uniform(0.0, DAY_SECONDS) + np.arange(-1, 8) * DAY_SECONDS + random.normal(0.0, 3600.0, 9)
    return _slowed(random, "heat", median, begins, begins + random.uniform(3.0, 9.0) * HOUR_SECONDS, False)


def _rare_multiples(random: np.random.Generator, median: float) -> Trace:
    """One step in fifty takes three to six times as long."""
    steps = log_normal(random, median, random.uniform(0.03, 0.2))
    long = random.random(len(steps)) < 0.02
    steps[long] *= random.uniform(3.0, 6.0, int(np.sum(long)))
    return make_trace(random, "rare multiples", steps, split(random, steps))


def _for_good(random: np.random.Generator, median: float) -> Trace:
    """At some time steps become longer, and stay so; at another they may become as short as they were."""
    begin = random.uniform(0.1, 0.8) * WEEK_SECONDS
    end = begin + random.uniform(0.1, 1.0) * WEEK_SECONDS
    return _slowed(random, "for good", median, np.array([begin]), np.array([end]), bool(random.random() < 0.5))


def _slowed(
    random: np.random.Generator, kind: str, median: float, begins: Series, ends: Series, shares_processors: bool
) -> Trace:
    """Steps that take 2.5 to 3.5 times as long in each of these times, by the clock."""
    steps = log_normal(random, median, random.uniform(0.03, 0.2))
    shares = np.ones(len(steps))
    at = 0
    for begin, end in sorted(zip(begins.tolist(), ends.tolist(), strict=True)):
        at_begin = int(np.searchsorted(np.cumsum(steps), max(begin, 0.0)))
        factor = random.uniform(2.5, 3.5)
        at_end = at_begin + int(np.searchsorted(np.cumsum(steps[at_begin:] * factor), end - max(begin, 0.0)))
        at_begin = max(at_begin, at)
        if at_end <= at_begin:
            continue
        steps[at_begin:at_end] *= factor
        if shares_processors:
            shares[at_begin:at_end] = 1.0 / factor
        at = at_end
    return make_trace(random, kind, steps, split(random, steps), shares=shares)
