"""What is usual in one phase of a trainer: what its processes do, and how long they rest or spin meanwhile. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import mul
from statistics import fmean
from typing import Literal, NamedTuple

from exporter.activity.usage import Usage
from exporter.pace import MEDIAN_STEPS, UNKNOWN_STEPS, OrderedWindow, factor_of

State = Literal["usual", "rest", "spinning", "unknown"]

# The usual activity follows a change within half of this window, of collections.
WINDOW = 256
# Of so many collections a minute is known, which is enough for a median.
LEAST_COLLECTIONS = 12
# A collection tells of a phase if no other one had a larger part of it. Of phases too short for that, what they do
# together is known; a rest may then be the half of a longer step that waits for a server, unless collections with
# larger shares of the phase show that it works too: so many times what they do together, but for two standard errors.
OWN_SHARE = 0.9
WHOLE_SHARE = 0.999
OWN_WORK, OWN_ERRORS = 0.5, 2.0

# The threads that go on in a hung trainer use a few hundredths of what it used on average, or less than a hundredth of
# a core; a co-tenant leaves a quarter or more. On average, as the median of one that works and waits by turns is now
# the one and now the other. Processes that use hardly more than that at work, such as those of a trainer that waits for
# a server, tell nothing by it. What neighbouring phases use in the same collections does not count, as a tenth of that
# may be many times their own.
IDLE_CORES = 0.01
LEAST_CORES = 0.02
REST_SHARE = 0.1
# Helpers of a trainer at rest (heartbeats, logging) move less than this a second; a slow network disk moves more.
MOVING_BYTES = 256e3
# One thread that never waits, and little beside it.
ONE_THREAD = (0.9, 1.15)
# Where the machine has nothing left, one core may be all that a trainer gets.
FULL_MACHINE = 0.9

# Another task or another program makes steps up to so many times as long from one to the next.
LONGER_STEPS = 3.5
# Rests and spins within steps that ended are remembered. A few of them say little of how uneven they are, so one may
# last eight times the second longest, and one hang changes nothing; of a new trainer that has shown one, eight times
# that.
RUNS, SETTLED_RUNS = 1024, 64
RUN_REACH = 8.0


def longer_than(usual: float, allowance: float) -> float:
    """How long one may last that lasts usually `usual`, at most `allowance`, if such ones suddenly take longer.

    It is one of the longer half then.
    """
    return max(allowance, LONGER_STEPS * math.sqrt(usual * allowance))


class Learnt(NamedTuple):
    """What is known of one phase: cores in use, 1 or 0 for the accelerator, longest rests and spins in seconds.

    And how long silences had lasted when they were last seen, and cores in use in it and the phases around it, with its
    shares.
    """

    cores: Sequence[float]
    accelerator: Sequence[float] = ()
    rests: Sequence[float] = ()
    turns: Sequence[float] = ()
    silences: Sequence[float] = ()
    mixed: Sequence[float] = ()
    shares: Sequence[float] = ()


NOTHING = Learnt(())


class Runs:
    """How long the longest rest, or spin of one thread, within each silence was; and how long the next one may last.

    Where silences have them they are as uneven as steps, and have a pace of their own, of those that are no zero.
    """

    def __init__(self, seconds: Iterable[float] = ()) -> None:
        self._all = OrderedWindow(RUNS)
        self._recent = OrderedWindow(MEDIAN_STEPS)
        self._tail = OrderedWindow(RUNS)
        for one in seconds:
            self.push(one)

    def __len__(self) -> int:
        return len(self._all)

    def values(self) -> list[float]:
        """One a silence, the oldest first."""
        return self._all.values()

    def push(self, seconds: float) -> None:
        """Takes that of a silence that ended; 0 where it had none."""
        self._all.push(seconds)
        if seconds > 0.0:
            usual = self._recent.push(seconds)[len(self._recent) // 2]
            self._tail.push(seconds / usual)

    def reach(self) -> float:
        """Seconds that the next one may last, as far as those before tell."""
        if self._all.count_above(0.0) >= UNKNOWN_STEPS:
            usual = self._recent.quantile(0.5)
            return longer_than(usual, usual * factor_of(self._tail.ordered()))
        return RUN_REACH * (self._all.second_largest() if len(self) >= SETTLED_RUNS else self._all.quantile(1.0))


class Phase:
    """What is usual in one phase."""

    def __init__(self, learnt: Learnt = NOTHING) -> None:
        self._cores = OrderedWindow(WINDOW, learnt.cores)
        self._accelerator = OrderedWindow(WINDOW, learnt.accelerator)
        self.rests = Runs(learnt.rests)
        self.turns = Runs(learnt.turns)
        self.silences = OrderedWindow(RUNS, learnt.silences)
        self._mixed = OrderedWindow(WINDOW, learnt.mixed)
        self._shares = OrderedWindow(WINDOW, learnt.shares)
        self._settle()

    def _settle(self) -> None:
        """Follows from what was learnt, and is asked for more often than anything is learnt."""
        # Whether what is known is of this phase alone: long ago it may have been longer, and something else.
        self.is_known_alone = min(self._shares.count_from(OWN_SHARE), len(self._cores)) >= LEAST_COLLECTIONS
        self._known_cores = self._cores if self.is_known_alone else self._mixed
        self.is_known = len(self._known_cores) >= LEAST_COLLECTIONS
        self._average: float | None = None
        self._own: float | None = None

    @property
    def usual_cores(self) -> float | None:
        """The median of the cores in use; None while too few collections are known."""
        return self._known_cores.quantile(0.5) if self.is_known else None

    def memory(self) -> Learnt:
        """What was learnt so far."""
        windows = self._cores, self._accelerator, self.rests, self.turns, self.silences, self._mixed, self._shares
        return Learnt(*(window.values() for window in windows))

    def learn(self, pending: Sequence[tuple[Usage, float]], longest: Mapping[str, float], age: float) -> None:
        """Takes a silence of `age` seconds: collections, each with the phase's share of it, and its longest runs."""
        for usage, share in pending:
            self._mixed.push(usage.cores)
            self._shares.push(share)
            if share >= OWN_SHARE:
                self._cores.push(usage.cores)
            if usage.accelerator_busy is not None:
                self._accelerator.push(float(usage.accelerator_busy))
        self.rests.push(longest["rest"])
        self.turns.push(longest["spinning"])
        self.silences.push(age)
        self._settle()

    def tells_of_itself(self) -> bool:
        """Whether what is known holds for this phase, and not only for it and its neighbours together."""
        if self.is_known_alone:
            return True
        cores, shares = self._mixed.values(), self._shares.values()
        if not self.is_known or len(cores) != len(shares):
            return False
        return _at_whole(shares, cores) >= OWN_WORK * self._known_cores.quantile(0.5)

    def explains(self, usage: Usage, seconds_before: float) -> bool:
        """Whether a collection that began before the silence shows no more than was usual so long, and then a rest."""
        if not self.is_known:
            return True
        usual = self._known_cores.quantile(0.5)
        within = usage.cores * usage.seconds - usual * seconds_before
        return within < max(IDLE_CORES, REST_SHARE * usual) * usage.seconds

    def judge(self, usage: Usage, turned: float) -> State:
        """What a collection within a silence shows, in which one thread has turned for so many seconds."""
        if usage.is_stopped:
            return "rest"
        if not self.is_known:
            return "unknown"
        is_moving = moves(usage)
        if usage.waits_for_disk and not is_moving:
            return "unknown"
        usual = self._own_cores()
        if usage.accelerator_busy is not None and self._accelerator_is_usually_busy():
            # Whatever the processor does: a deadlock between accelerators spins, and draws no power.
            return "usual" if usage.accelerator_busy else "rest"
        if turns(usage) and (self._never_turns() or turned > self.longest_turn()):
            return "spinning"
        if usage.accelerator_busy or is_moving:
            return "usual"
        if usual < LEAST_CORES:
            return "unknown"
        return "rest" if usage.cores < max(IDLE_CORES, REST_SHARE * usual) else "usual"

    def room_for_rest(self) -> float:
        """The largest share of a collection that may have been rest, by the least but one that any of them used."""
        if self._accelerator_is_usually_busy():
            return 1.0
        least = self._known_cores.ordered()[1] if len(self._known_cores) > 1 else 0.0
        return max(0.0, 1.0 - least / self._average_cores())

    def longest_turn(self) -> float:
        """Seconds that one thread may turn alone as it does within steps; infinite while too few are known."""
        return self.turns.reach() if len(self.turns) >= SETTLED_RUNS else math.inf

    def _never_turns(self) -> bool:
        low, high = ONE_THREAD
        return self._known_cores.quantile(0.95) < low or self._known_cores.quantile(0.05) > high

    def _average_cores(self) -> float:
        if self._average is None:
            self._average = fmean(self._known_cores.values())
        return self._average

    def _own_cores(self) -> float:
        """Cores that it uses on average; of one known alone, without what its neighbours use beside it."""
        if self._own is None:
            self._own = self._average_cores()
            cores, shares = self._mixed.values(), self._shares.values()
            if self.is_known_alone and len(cores) == len(shares):
                whole = [used for used, share in zip(cores, shares, strict=True) if share >= WHOLE_SHARE]
                enough = len(whole) >= LEAST_COLLECTIONS
                self._own = min(self._own, fmean(whole) if enough else _at_whole(shares, cores))
        return self._own

    def _accelerator_is_usually_busy(self) -> bool:
        return len(self._accelerator) >= LEAST_COLLECTIONS and self._accelerator.quantile(0.5) > 0.0


def turns(usage: Usage) -> bool:
    """Whether one thread runs without a pause and hardly another, although the machine would let others run too."""
    low, high = ONE_THREAD
    return low <= usage.cores <= high and (usage.machine_busy or 0.0) < FULL_MACHINE


def _at_whole(shares: Sequence[float], values: Sequence[float]) -> float:
    """What the values, a straight line of the shares, are at the share 1, at least; 0 where all shares are equal."""
    count, middle, mean = len(shares), fmean(shares), fmean(values)
    spread = sum(map(mul, shares, shares)) - count * middle**2
    if count <= 2 or spread <= 1e-9:
        return 0.0
    slope = (sum(map(mul, shares, values)) - count * middle * mean) / spread
    rest = max(0.0, sum(map(mul, values, values)) - count * mean**2 - slope**2 * spread)
    error = math.sqrt(rest / (count - 2) * (1.0 / count + (1.0 - middle) ** 2 / spread))
    return mean + slope * (1.0 - middle) - OWN_ERRORS * error


def moves(usage: Usage) -> bool:
    """Whether it reads or writes what nobody but a trainer at work does."""
    return usage.moved is not None and usage.moved >= MOVING_BYTES
