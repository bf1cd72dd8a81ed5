"""Whether a silent trainer works, rests or spins: what its processes do now against what they usually do. Pure.

A hung trainer rests or spins in one thread as it never did; a slow one works as always. So silence at work is allowed
longer than the pace alone would allow it, and silence at rest less.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from exporter.activity.usage import Usage
from exporter.pace import OrderedWindow

State = Literal["usual", "rest", "spinning", "unknown"]

# The usual activity follows a change within half of this window, of collections.
WINDOW = 256
# Of so many collections a minute is known, which is enough for a median.
LEAST_COLLECTIONS = 12
# A collection tells of a phase if no other one had a larger part of it. Of phases too short for that, what they do
# together is known; a rest may then be the half of a longer step that waits for a server, unless collections with
# larger shares of the phase show that it works too: so many times what they do together, but for two standard errors.
OWN_SHARE = 0.9
OWN_WORK, OWN_ERRORS = 0.5, 2.0
# A long step counts as no more than this, or one evaluation would be all that is known.
MOST_OF_A_SILENCE = 16

# The threads that go on in a hung trainer use a few hundredths of what it used, or less than a hundredth of a core; a
# co-tenant leaves a quarter or more. Processes that use hardly more than that at work, such as those of a trainer that
# waits for a server, tell nothing by it.
IDLE_CORES = 0.01
LEAST_CORES = 0.02
REST_SHARE = 0.1
# Helpers of a trainer at rest (heartbeats, logging) move less than this a second; a slow network disk moves more.
MOVING_BYTES = 256e3
# One thread that never waits, and little beside it.
ONE_THREAD = (0.9, 1.15)
# Where the machine has nothing left, one core may be all that a trainer gets.
FULL_MACHINE = 0.9

# At work ten usual silences are allowed, or three times what the pace allows if that is less, but no less than that:
# another task or another program makes steps up to 3.5 times as long from one to the next, uneven ones among them twice
# that. Where what it does tells nothing, as of a trainer that waits for a server, nothing but the silence speaks: it
# may be such a longer step, and one of the longer half of them by the pace's own measure.
AT_WORK, MOST_AT_WORK = 10.0, 3.0
LONGER_STEPS = 3.5
# A rest counts once it has lasted for the latter half of a silence that means a stall at rest, which are two usual
# ones; a spin, which may be work of another kind, after three usual silences, two of them spun.
REST_HELD = 0.5
SPIN, SPIN_HELD = 3.0, 2.0
# A trainer stopped by a signal goes on at none but another one, so it need not be asked for longer than a person who
# looks at it stops it for; how long its steps take says nothing.
STOPPED_SECONDS = 60.0
# What was learnt of an earlier process holds while the usual activity lies within this factor of what it was.
SAME_FACTOR = 2.0
# Rests and spins within steps that ended are remembered, and are as uneven as steps are. The second longest decides, so
# one hang changes nothing. One shorter than a collection may not have been seen at all, unless the silences themselves
# were shorter, nor one that few silences have while few silences are known.
RUNS, SETTLED_RUNS = 1024, 64
RUN_REACH, UNSEEN_COLLECTIONS, UNSEEN_SILENCES = 8.0, 3.0, 3.0


class Learnt(NamedTuple):
    """What is known of one phase: cores in use, 1 or 0 for the accelerator, longest rests and spins in seconds.

    And how long silences had lasted when they were last seen, and cores in use in it and the phases around it, with its
    shares.
    """

    cores: Sequence[float]
    accelerator: Sequence[float] = ()
    rests: Sequence[float] = ()
    spins: Sequence[float] = ()
    silences: Sequence[float] = ()
    mixed: Sequence[float] = ()
    shares: Sequence[float] = ()


NOTHING = Learnt(())


class Limits(NamedTuple):
    """Seconds of silence that mean a stall by the pace alone: whatever the trainer does, and at rest; the usual one.

    None where it is not known; the usual silence is then taken for half of that at rest.
    """

    anyhow: float
    at_rest: float | None
    usual: float | None = None


class Activity:
    """Follows what a trainer does between one sign of progress and the next, and learns from what it did.

    Only collections that lie within a silence say anything about it; what they showed is learnt once progress ends the
    silence, so a hang teaches nothing as long as it lasts, and little afterwards.
    """

    def __init__(self) -> None:
        self.state: State = "unknown"
        self.cores: float | None = None
        self._phases: dict[str, _Phase] = {}
        self._unconfirmed: dict[str, Learnt] = {}
        self._phase = ""
        self._progress_at = 0.0
        self._worked_until = 0.0
        self._limit: float | None = None
        self._pending: deque[tuple[Usage, float]] = deque(maxlen=MOST_OF_A_SILENCE)
        self._longest = {"rest": 0.0, "spinning": 0.0}
        self._age = 0.0
        self._ran_until = 0.0
        # A look within a silence is shorter than a collection.
        self._lengths: deque[float] = deque(maxlen=4)

    @property
    def usual_cores(self) -> float | None:
        """Cores that are usually in use in the present phase; None while that is not known."""
        known = self._phases.get(self._phase)
        return known.usual_cores if known else None

    def observe(
        self, usage: Usage, phase: str, progress_at: float, limits: Limits, now: float, *, own_seconds: float = 0.0
    ) -> None:
        """Takes a collection at the Unix time `now`, in a phase that should make progress and last did at a time.

        `own_seconds` of the collection were spent in this phase, as far as that is known.
        """
        self._follow_silence(usage, phase, progress_at, now)
        known = self._phases.get(phase)
        if known is None:
            known = self._phases[phase] = _Phase()
        self._age = now - progress_at
        self._pending.append((usage, min(1.0, max(own_seconds, self._age) / usage.seconds)))
        if now - usage.seconds < progress_at:
            if usage.is_stopped:
                self.state, self._limit = "rest", self._find_stopped(limits)
            if not known.explains(usage, usage.seconds - self._age):
                self._worked_until = now
            return
        self.state = known.judge(usage)
        if self.state == "usual":
            self._worked_until = now
        elif self.state in self._longest:
            run = now - self._worked_until
            self._longest[self.state] = max(self._longest[self.state], run)
        self._limit = self._find_stopped(limits) if usage.is_stopped else self._find_limit(known, limits)

    def observe_rest(self, usage: Usage, phase: str, since: float, limits: Limits, now: float) -> None:
        """Takes a collection in a phase that need not make progress, but may hang: one that a pace does not know.

        Where it is known how long the phase may last at rest, one in which nothing moves is held to that.
        """
        self._follow_silence(usage, phase, since, now)
        self.state, self._limit = "unknown", None
        if usage.is_stopped:
            self.state, self._limit = "rest", min(limits.anyhow, self._find_stopped(limits))
        elif limits.at_rest is not None and _is_still(usage):
            self.state = "rest"
            self._limit = min(limits.anyhow, self._worked_until - since + limits.at_rest)
        else:
            self._worked_until = now

    def pause(self, usage: Usage | None = None) -> None:
        """It is in a phase that need not make progress, and does this meanwhile."""
        self._end_silence()
        self._phase, self.state, self._limit = "", "unknown", None
        self.cores = usage.cores if usage else None

    def begin_again(self) -> None:
        """Another process of the trainer has begun: what was learnt holds once its first collections confirm it."""
        self._pending.clear()
        self.pause()
        self.remember(self.memory(), is_same_process=False)

    def stall_after(self) -> float | None:
        """Seconds of silence that mean a stall by what it does since its last progress; None if that says nothing."""
        return self._limit

    def memory(self) -> dict[str, Learnt]:
        """What was learnt so far, by phase."""
        known = {name: phase.memory() for name, phase in self._phases.items() if phase.is_known}
        return self._unconfirmed | known

    def remember(self, memory: Mapping[str, Learnt], *, is_same_process: bool) -> None:
        """Takes up what was learnt of the same trainer before."""
        self._phases = {name: _Phase(learnt) for name, learnt in memory.items()} if is_same_process else {}
        self._unconfirmed = {} if is_same_process else dict(memory)

    def _find_limit(self, known: "_Phase", limits: Limits) -> float | None:
        if limits.at_rest is None:
            return None
        usual = limits.at_rest / 2.0 if limits.usual is None else limits.usual
        at_work = max(limits.anyhow, min(AT_WORK * usual, MOST_AT_WORK * limits.anyhow))
        worked = self._worked_until - self._progress_at
        longer = LONGER_STEPS * math.sqrt(usual * limits.anyhow)
        if self.state == "usual":
            return at_work
        if self.state == "rest":
            least, held, before = limits.at_rest, REST_HELD * limits.at_rest, known.rests
        elif self.state == "spinning":
            least, held, before = max(limits.at_rest, SPIN * usual), SPIN_HELD * usual, known.spins
        else:
            least = max(limits.anyhow, longer if known.is_known else 0.0)
            return min(at_work, max(least, worked + limits.anyhow))
        unseen, longest = UNSEEN_COLLECTIONS * max(self._lengths), math.inf
        if len(known.silences) >= SETTLED_RUNS:
            longest = known.silences.second_largest()
            unseen = min(unseen, UNSEEN_SILENCES * longest)
        if not known.tells_of_itself():
            least = max(least, min(longer, LONGER_STEPS * longest, limits.anyhow))
        learnt = max(RUN_REACH * before.second_largest(), unseen)
        novelty = limits.anyhow * (1.0 - len(before) / SETTLED_RUNS)
        held = min(max(held, learnt, novelty), limits.anyhow)
        return min(at_work, max(least, worked + held))

    def _follow_silence(self, usage: Usage, phase: str, progress_at: float, now: float) -> None:
        self.cores = usage.cores
        self._lengths.append(usage.seconds)
        if (phase, progress_at) != (self._phase, self._progress_at):
            self._end_silence()
            self._phase, self._progress_at, self._limit = phase, progress_at, None
            self._worked_until = self._ran_until = progress_at
            self.state = "unknown"
        if not usage.is_stopped:
            self._ran_until = now

    def _find_stopped(self, limits: Limits) -> float:
        """One that a person stopped and lets go on in a slow step is none at once."""
        ran = self._ran_until - self._progress_at
        at_rest = math.inf if limits.at_rest is None else max(limits.at_rest, ran + REST_HELD * limits.at_rest)
        return min(at_rest, ran + STOPPED_SECONDS)

    def _end_silence(self) -> None:
        if self._pending:
            self._phases[self._phase].learn(self._pending, self._longest, self._age)
            self._confirm(self._phase)
        self._pending.clear()
        self._longest = dict.fromkeys(self._longest, 0.0)

    def _confirm(self, name: str) -> None:
        known = self._phases[name]
        if name not in self._unconfirmed or known.usual_cores is None:
            return
        before = _Phase(self._unconfirmed[name])
        if before.is_known_alone and not known.is_known_alone:
            return
        del self._unconfirmed[name]
        usual = before.usual_cores or 0.0
        if usual / SAME_FACTOR <= known.usual_cores <= usual * SAME_FACTOR:
            self._phases[name] = before


class _Phase:
    """What is usual in one phase."""

    def __init__(self, learnt: Learnt = NOTHING) -> None:
        self._cores = OrderedWindow(WINDOW, learnt.cores)
        self._accelerator = OrderedWindow(WINDOW, learnt.accelerator)
        self.rests = OrderedWindow(RUNS, learnt.rests)
        self.spins = OrderedWindow(RUNS, learnt.spins)
        self.silences = OrderedWindow(RUNS, learnt.silences)
        self._mixed = OrderedWindow(WINDOW, learnt.mixed)
        self._shares = OrderedWindow(WINDOW, learnt.shares)

    @property
    def is_known(self) -> bool:
        return len(self._known_cores) >= LEAST_COLLECTIONS

    @property
    def is_known_alone(self) -> bool:
        """Whether what is known is of this phase alone: long ago it may have been longer, and something else."""
        return min(self._shares.count_from(OWN_SHARE), len(self._cores)) >= LEAST_COLLECTIONS

    @property
    def usual_cores(self) -> float | None:
        return self._known_cores.quantile(0.5) if self.is_known else None

    @property
    def _known_cores(self) -> OrderedWindow:
        return self._cores if self.is_known_alone else self._mixed

    def memory(self) -> Learnt:
        windows = self._cores, self._accelerator, self.rests, self.spins, self.silences, self._mixed, self._shares
        return Learnt(*(window.values() for window in windows))

    def learn(self, pending: Sequence[tuple[Usage, float]], longest: Mapping[str, float], age: float) -> None:
        for usage, share in pending:
            self._mixed.push(usage.cores)
            self._shares.push(share)
            if share >= OWN_SHARE:
                self._cores.push(usage.cores)
            if usage.accelerator_busy is not None:
                self._accelerator.push(float(usage.accelerator_busy))
        self.rests.push(longest["rest"])
        self.spins.push(longest["spinning"])
        self.silences.push(age)

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

    def judge(self, usage: Usage) -> State:
        """What a collection within a silence shows."""
        if usage.is_stopped:
            return "rest"
        if not self.is_known:
            return "unknown"
        is_moving = _moves(usage)
        if usage.waits_for_disk and not is_moving:
            return "unknown"
        usual = self._known_cores.quantile(0.5)
        if usage.accelerator_busy is not None and self._accelerator_is_usually_busy():
            # Whatever the processor does: a deadlock between accelerators spins, and draws no power.
            return "usual" if usage.accelerator_busy else "rest"
        if self._spins(usage):
            return "spinning"
        if usage.accelerator_busy or is_moving:
            return "usual"
        if usual < LEAST_CORES:
            return "unknown"
        return "rest" if usage.cores < max(IDLE_CORES, REST_SHARE * usual) else "usual"

    def _accelerator_is_usually_busy(self) -> bool:
        return len(self._accelerator) >= LEAST_COLLECTIONS and self._accelerator.quantile(0.5) > 0.0

    def _spins(self, usage: Usage) -> bool:
        """Whether one thread runs without a pause, as is not usual, although the machine would let others run too."""
        low, high = ONE_THREAD
        if not low <= usage.cores <= high or (usage.machine_busy or 0.0) >= FULL_MACHINE:
            return False
        return self._known_cores.quantile(0.95) < low or self._known_cores.quantile(0.05) > high


def _at_whole(shares: Sequence[float], values: Sequence[float]) -> float:
    """What the values, a straight line of the shares, are at the share 1, at least; 0 where all shares are equal."""
    count, middle, mean = len(shares), fmean(shares), fmean(values)
    spread = sum((share - middle) ** 2 for share in shares)
    if spread <= 0.0:
        return 0.0
    slope = sum((share - middle) * (value - mean) for share, value in zip(shares, values, strict=True)) / spread
    rest = sum((value - mean - slope * (share - middle)) ** 2 for share, value in zip(shares, values, strict=True))
    error = math.sqrt(rest / (count - 2) * (1.0 / count + (1.0 - middle) ** 2 / spread))
    return mean + slope * (1.0 - middle) - OWN_ERRORS * error


def _moves(usage: Usage) -> bool:
    return usage.moved is not None and usage.moved >= MOVING_BYTES


def _is_still(usage: Usage) -> bool:
    """Whether nothing works that could be seen: a wait for a disk that does not answer is still, too."""
    return not usage.accelerator_busy and usage.moved is not None and not _moves(usage) and usage.cores < IDLE_CORES
