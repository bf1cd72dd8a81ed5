"""The stall threshold of a peer: how long it may be silent, from its own recent steps."""

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist, median
from typing import NamedTuple

# The usual step follows a drift within half of this window.
MEDIAN_STEPS = 64
# Long steps are rare, so they are remembered for longer, each as a multiple of the usual step of its own time.
TAIL_STEPS = 4000
# No estimate from the first steps, which may compile, download or take twelve minutes each.
UNKNOWN_STEPS = 5

# A peer whose steps hardly vary is allowed this many usual steps; while few are known, up to so many more, as the long
# ones among them have not been seen yet.
SHORTEST_FACTOR = 3.0
NOVELTY_FACTOR = 8.0
SETTLED_STEPS = 150

# Log-normal steps lie within 5.2 deviations of the usual one but for one in ten million. Where the uppermost twentieth
# lies close together, as with steps of two kinds, the longest is the better guide; it strays, hence the larger number.
REACH = 5.2
REACH_BEYOND_TWENTIETH = 6.5
# No record, however short, speaks for steps this many times its second longest: hangs that return would soon excuse
# any other.
LONGEST_REACH = 3.5
TWENTIETH = NormalDist().inv_cdf(0.95)

# A peer whose processes rest is stalled after so many usual steps: a step that takes twice as long works meanwhile. The
# floor is for what short steps wait for besides; that they rest meanwhile is a second witness, and half of it will do.
AT_REST_FACTOR = 2.0
AT_REST_FLOOR = 0.5

# A save that moves nothing and computes nothing is stalled after ten times the second longest of the latest saves, as
# a disk or a network is that much slower at times, but no sooner than a busy one keeps anybody waiting. Fewer saves
# tell nothing.
SAVES, UNKNOWN_SAVES = 64, 3
SAVE_REACH, SAVE_AT_REST_SECONDS = 10.0, 120.0

# A rest that nobody announced may last this many times what a step may: evaluations and skipped data do.
REST_FACTOR = 20.0
# What an earlier process learnt holds while the usual step lies within this factor of what it was, either way.
SAME_PACE_FACTOR = 2.0


def _place_of_second_longest(steps: int) -> float:
    """Where the second longest of so many log-normal steps lies, in deviations above the usual one."""
    return NormalDist().inv_cdf(1.0 - 1.7 / steps)


_PLACES = [_place_of_second_longest(max(steps, UNKNOWN_STEPS)) for steps in range(TAIL_STEPS + 1)]
_POWERS = [REACH / place for place in _PLACES]
_POWERS_BEYOND = [(REACH_BEYOND_TWENTIETH - place) / max(place - TWENTIETH, 0.3) for place in _PLACES]


class PhaseMemory(NamedTuple):
    """What was learnt of one phase: its latest silences in seconds, and more of them as multiples of the usual one."""

    recent: Sequence[float]
    tail: Sequence[float]


class Pace:
    """A sliding estimate of how long a peer is silent in each phase of a step, and the silence that a phase allows.

    In a phase that steps, the allowance is a multiple of that phase's median silence, larger the further the long ones
    lie above it, between floor and ceiling. The second longest decides how far, so a single hang changes nothing. A
    silence beyond its allowance was a stall and counts as no more than the allowance: several hangs do not excuse the
    next one, a creeping hang meets the ceiling, and a real slow-down is learnt within some steps. No ceiling makes a
    peer stalled at twice its usual silence.

    `between_seconds` is for a trainer that does not say what it does between its steps: evaluate, save, upload, skip
    data, all of which take hours in healthy runs. No phase but a step's is judged by the pace.
    """

    def __init__(
        self,
        *,
        floor_seconds: float = 10.0,
        ceiling_seconds: float = 3600.0,
        starting_seconds: float = 600.0,
        waiting_seconds: float = 1800.0,
        saving_seconds: float = 600.0,
        between_seconds: float = 86400.0,
    ) -> None:
        self._floor = floor_seconds
        self._ceiling = ceiling_seconds
        self._between = between_seconds
        # A trainer that has finished makes no progress, and need not.
        self._budgets = {
            "starting": starting_seconds,
            "waiting": waiting_seconds,
            "saving": saving_seconds,
            "stopped": math.inf,
        }
        self._phases: dict[str, _Phase] = {}
        self._saves = OrderedWindow(SAVES)

    def add(self, seconds: float, phase: str = "training") -> None:
        """Takes the longest silence of one finished step in a phase; of a step without phases, the whole of it."""
        known = self._phases.get(phase)
        if known is None:
            if phase in self._budgets:
                return
            known = self._phases[phase] = _Phase(self._floor, self._ceiling)
        known.add(seconds)

    def add_save(self, seconds: float) -> None:
        """Takes how long a finished save lasted."""
        self._saves.push(seconds)

    def usual(self, phase: str) -> float | None:
        """The usual silence of a step in this phase, in seconds; None while it is not known."""
        known = self._phases.get(phase)
        return known.usual if known is not None else None

    def stall_after(self, phase: str) -> float:
        """Seconds of silence, since the later of last step and phase start, that mean a stall; infinite for never."""
        known = self._phases.get(phase)
        return known.allowance if known is not None else self._budgets.get(phase, self._ceiling)

    def stall_at_rest_after(self, phase: str) -> float | None:
        """The same where its processes rest; None while that is not known, or where it makes no difference."""
        if phase == "saving":
            return self._save_at_rest_after()
        known = self._phases.get(phase)
        return known.allowance_at_rest if known is not None else None

    def _save_at_rest_after(self) -> float | None:
        if len(self._saves) < UNKNOWN_SAVES:
            return None
        after = max(SAVE_AT_REST_SECONDS, SAVE_REACH * self._saves.second_largest())
        return after if after < self._budgets["saving"] else None

    def stall_between_steps(self) -> float:
        """Seconds of silence that mean a stall where nobody said what the trainer does between two steps."""
        longest = max((phase.allowance for phase in self._phases.values()), default=self._ceiling)
        return max(self._between, REST_FACTOR * longest)

    def memory(self) -> dict[str, PhaseMemory]:
        """What was learnt so far, by phase; a phase of which too little is known is left out."""
        found = {name: phase.memory() for name, phase in self._phases.items()}
        return {name: memory for name, memory in found.items() if memory is not None}

    def forget(self) -> None:
        """Forgets how long steps are, as they are those of another model, or set up in another way."""
        self._phases.clear()

    def remember(self, memory: Mapping[str, PhaseMemory]) -> None:
        """Takes up what an earlier process of the same trainer learnt, where this one knows too little yet.

        The first steps after it are judged and learnt as those of a new trainer are, since they may compile; where they
        show another pace, the memory is dropped.
        """
        for name, learnt in memory.items():
            if name not in self._budgets and len(learnt.tail) >= UNKNOWN_STEPS:
                self._phases.setdefault(name, _Phase(self._floor, self._ceiling)).remember(learnt)


class _Phase:
    """What one phase's silences allow the next one."""

    __slots__ = (
        "_ceiling",
        "_first",
        "_floor",
        "_learnt",
        "_recent",
        "_tail",
        "allowance",
        "allowance_at_rest",
        "usual",
    )

    def __init__(self, floor_seconds: float, ceiling_seconds: float) -> None:
        self.allowance = ceiling_seconds
        self.allowance_at_rest: float | None = None
        self.usual: float | None = None
        self._floor = floor_seconds
        self._ceiling = ceiling_seconds
        self._recent = OrderedWindow(MEDIAN_STEPS)
        self._tail = OrderedWindow(TAIL_STEPS)
        # What an earlier process learnt, until the first silences of this one confirm it.
        self._learnt: PhaseMemory | None = None
        self._first: list[float] = []

    def add(self, seconds: float) -> None:
        if self._learnt is not None:
            self._first.append(seconds)
            if len(self._first) == UNKNOWN_STEPS:
                self._confirm(self._learnt)
            return
        silence = min(seconds, self.allowance)
        recent = self._recent.push(silence)
        usual = recent[len(recent) // 2]
        tail = self._tail.push(silence / usual if usual > 0.0 else 1.0)
        self._allow(usual, tail)

    def memory(self) -> PhaseMemory | None:
        """What is known; None while it is too little."""
        if self._learnt is not None:
            return self._learnt
        return PhaseMemory(self._recent.values(), self._tail.values()) if len(self._tail) >= UNKNOWN_STEPS else None

    def remember(self, learnt: PhaseMemory) -> None:
        first = self._recent.values()
        if self._learnt is not None or len(self._tail) >= len(learnt.tail):
            return
        if len(first) >= UNKNOWN_STEPS:
            if _is_same_pace(learnt.recent, first):
                self._go_on_from(learnt)
            return
        self._learnt, self._first = learnt, first
        self.allowance, self.allowance_at_rest = max(self._ceiling, 2.0 * median(learnt.recent)), None
        self.usual = None

    def _confirm(self, learnt: PhaseMemory) -> None:
        """Goes on with what was learnt before, or from nothing if the first silences show another pace."""
        self._learnt, first, self._first = None, self._first, []
        if _is_same_pace(learnt.recent, first):
            self._go_on_from(learnt)
            return
        self._recent, self._tail = OrderedWindow(MEDIAN_STEPS), OrderedWindow(TAIL_STEPS)
        self.allowance, self.allowance_at_rest, self.usual = self._ceiling, None, None
        for seconds in first:
            self.add(seconds)

    def _go_on_from(self, learnt: PhaseMemory) -> None:
        self._recent, self._tail = OrderedWindow(MEDIAN_STEPS, learnt.recent), OrderedWindow(TAIL_STEPS, learnt.tail)
        self._allow(self._recent.quantile(0.5), self._tail.ordered())

    def _allow(self, usual: float, tail: list[float]) -> None:
        if len(tail) >= UNKNOWN_STEPS:
            ceiling = max(self._ceiling, 2.0 * usual)
            self.allowance = max(self._floor, min(usual * factor_of(tail), ceiling))
            self.allowance_at_rest = max(AT_REST_FLOOR * self._floor, min(AT_REST_FACTOR * usual, self.allowance))
            self.usual = usual


def _is_same_pace(before: Sequence[float], now: Sequence[float]) -> bool:
    return median(before) / SAME_PACE_FACTOR <= median(now) <= median(before) * SAME_PACE_FACTOR


class OrderedWindow:
    """The latest values of a series, kept in order as they come and go: a median or a tail then costs nothing."""

    __slots__ = ("_ordered", "_size", "_values")

    def __init__(self, size: int, values: Iterable[float] = ()) -> None:
        """Takes the latest of these values, the oldest first."""
        self._size = size
        self._values = deque(values, maxlen=size)
        self._ordered = sorted(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def values(self) -> list[float]:
        """All that are held, the oldest first."""
        return list(self._values)

    def ordered(self) -> list[float]:
        """All that are held, in rising order; not to be changed."""
        return self._ordered

    def quantile(self, share: float) -> float:
        """The value that this share of them lies below; 0 where there is none."""
        return self._ordered[min(int(share * len(self._ordered)), len(self._ordered) - 1)] if self._ordered else 0.0

    def count_from(self, least: float) -> int:
        """How many of them are no smaller than this."""
        return len(self._ordered) - bisect_left(self._ordered, least)

    def count_above(self, most: float) -> int:
        """How many of them are larger than this."""
        return len(self._ordered) - bisect_right(self._ordered, most)

    def second_largest(self) -> float:
        """0 where there are less than two."""
        return self._ordered[-2] if len(self._ordered) > 1 else 0.0

    def push(self, value: float) -> list[float]:
        """Takes a value in place of the oldest; all that are held, in rising order."""
        values, ordered = self._values, self._ordered
        if len(values) == self._size:
            del ordered[bisect_left(ordered, values[0])]
        values.append(value)
        insort(ordered, value)
        return ordered


def factor_of(tail: Sequence[float]) -> float:
    """Usual ones that one may last, from at least UNKNOWN_STEPS of them as multiples of the usual one, in order."""
    count = len(tail)
    second: float = tail[-2]
    factor = min(second ** _POWERS[count], LONGEST_REACH * second)
    if count >= SETTLED_STEPS:
        factor = min(factor, second * (second / tail[-1 - count // 20]) ** _POWERS_BEYOND[count])
        return max(SHORTEST_FACTOR, factor)
    return max(SHORTEST_FACTOR + NOVELTY_FACTOR * (1.0 - count / SETTLED_STEPS), factor)
