"""Whether a silent trainer works, rests or spins: what its processes do now against what they usually do. Pure.

A hung trainer rests or spins in one thread as it never did; a slow one works as always. So silence at work is allowed
longer than the pace alone would allow it, and silence at rest less.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from exporter.activity.usage import Usage
from exporter.pace import OrderedWindow

State = Literal["usual", "rest", "spinning", "unknown"]

# The usual activity follows a change within half of this window, of collections.
WINDOW = 256
# Of so many collections a minute is known, which is enough for a median.
LEAST_COLLECTIONS = 12
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

# All in silences that mean a stall at rest, which are two usual ones. At work ten usual silences are allowed, or three
# times what the pace allows if that is less, but no less than that: another task or another program makes steps up to
# 3.5 times as long from one to the next, uneven ones among them twice that. A rest counts once it has lasted for the
# latter half of its silence; a spin, which may be work of another kind, after three usual silences, two of them spun.
# Where what it does tells nothing, as of a trainer that waits for a server, a stall takes five: nothing but the silence
# speaks for it.
AT_WORK, MOST_AT_WORK = 5.0, 3.0
REST_HELD = 0.5
SPIN, SPIN_HELD = 1.5, 1.0
UNTOLD = 2.5
# What was learnt of an earlier process holds while the usual activity lies within this factor of what it was.
SAME_FACTOR = 2.0
# Rests and spins within steps that ended are remembered. The second longest decides, so one hang changes nothing; where
# one silence in ten has them, they are as uneven as steps are.
RUNS = 1024
RUN_REACH = 3.0
COMMON_REACH = 8.0


class Learnt(NamedTuple):
    """What is known of one phase: cores in use, 1 or 0 for the accelerator, longest rests and spins in seconds."""

    cores: Sequence[float]
    accelerator: Sequence[float] = ()
    rests: Sequence[float] = ()
    spins: Sequence[float] = ()


NOTHING = Learnt(())


class Limits(NamedTuple):
    """Seconds of silence that mean a stall by the pace alone: whatever the trainer does, and at rest."""

    anyhow: float
    at_rest: float | None


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
        self._pending: deque[Usage] = deque(maxlen=MOST_OF_A_SILENCE)
        self._longest = {"rest": 0.0, "spinning": 0.0}

    @property
    def usual_cores(self) -> float | None:
        """Cores that are usually in use in the present phase; None while that is not known."""
        known = self._phases.get(self._phase)
        return known.usual_cores if known else None

    def observe(self, usage: Usage, phase: str, progress_at: float, limits: Limits, now: float) -> None:
        """Takes a collection at the Unix time `now`, in a phase that should make progress and last did at a time."""
        self.cores = usage.cores
        if (phase, progress_at) != (self._phase, self._progress_at):
            self._end_silence()
            self._phase, self._progress_at = phase, progress_at
            self._worked_until, self._limit = progress_at, None
            self.state = "unknown"
        known = self._phases.get(phase)
        if known is None:
            known = self._phases[phase] = _Phase()
        self._pending.append(usage)
        if now - usage.seconds < progress_at:
            return
        self.state = known.judge(usage)
        if self.state == "usual":
            self._worked_until = now
        elif self.state in self._longest:
            run = now - self._worked_until
            self._longest[self.state] = max(self._longest[self.state], run)
        self._limit = self._find_limit(known, limits, usage.seconds)

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

    def _find_limit(self, known: "_Phase", limits: Limits, interval: float) -> float | None:
        if limits.at_rest is None:
            return None
        at_work = max(limits.anyhow, min(AT_WORK * limits.at_rest, MOST_AT_WORK * limits.anyhow))
        worked = self._worked_until - self._progress_at
        if self.state == "usual":
            return at_work
        if self.state == "rest":
            least, held, before = limits.at_rest, REST_HELD * limits.at_rest, known.rests
        elif self.state == "spinning":
            least, held, before = SPIN * limits.at_rest, SPIN_HELD * limits.at_rest, known.spins
        else:
            least = max(limits.anyhow, UNTOLD * limits.at_rest if known.is_known else 0.0)
            return min(at_work, max(least, worked + limits.anyhow))
        # A rest shorter than a collection may not have been seen at all.
        longest = max(before.second_largest(), interval)
        held = min(max(held, RUN_REACH * longest, COMMON_REACH * before.quantile(0.9)), limits.anyhow)
        return min(at_work, max(least, worked + held))

    def _end_silence(self) -> None:
        if self._pending:
            self._phases[self._phase].learn(self._pending, self._longest)
            self._confirm(self._phase)
        self._pending.clear()
        self._longest = dict.fromkeys(self._longest, 0.0)

    def _confirm(self, name: str) -> None:
        known = self._phases[name]
        if name not in self._unconfirmed or known.usual_cores is None:
            return
        before = _Phase(self._unconfirmed.pop(name))
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

    @property
    def is_known(self) -> bool:
        return len(self._cores) >= LEAST_COLLECTIONS

    @property
    def usual_cores(self) -> float | None:
        return self._cores.quantile(0.5) if self.is_known else None

    def memory(self) -> Learnt:
        return Learnt(*(window.values() for window in (self._cores, self._accelerator, self.rests, self.spins)))

    def learn(self, pending: Sequence[Usage], longest: Mapping[str, float]) -> None:
        for usage in pending:
            self._cores.push(usage.cores)
            if usage.accelerator_busy is not None:
                self._accelerator.push(float(usage.accelerator_busy))
        self.rests.push(longest["rest"])
        self.spins.push(longest["spinning"])

    def judge(self, usage: Usage) -> State:
        """What a collection within a silence shows."""
        if not self.is_known:
            return "unknown"
        is_moving = usage.moved is not None and usage.moved >= MOVING_BYTES
        if usage.waits_for_disk and not is_moving:
            return "unknown"
        usual = self._cores.quantile(0.5)
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
        return self._cores.quantile(0.95) < low or self._cores.quantile(0.05) > high
