"""Whether a silent trainer works, rests or spins: what its processes do now against what they usually do. Pure.

A hung trainer rests or spins in one thread as it never did; a slow one works as always. So silence at work is allowed
longer than the pace alone would allow it, and silence at rest less.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from exporter.activity.phase import (
    IDLE_CORES,
    LONGER_STEPS,
    SETTLED_RUNS,
    Learnt,
    Phase,
    State,
    longer_than,
    moves,
    turns,
)
from exporter.activity.usage import Usage
from exporter.pace import SHORTEST_FACTOR

# A long step counts as no more than this, or one evaluation would be all that is known.
MOST_OF_A_SILENCE = 16

# At work ten usual silences are allowed, or three times what the pace allows if that is less, but no less than that:
# what makes steps suddenly longer makes uneven ones among them twice as long as that. Where what it does tells nothing,
# as of a trainer that waits for a server, nothing but the silence speaks: it may be such a longer step.
AT_WORK, MOST_AT_WORK = 10.0, 3.0
# A rest counts once it has lasted for the latter half of a silence that means a stall at rest, which are two usual
# ones; a spin, which may be work of another kind, after three usual silences, two of them spun.
REST_HELD = 0.5
SPIN, SPIN_HELD = 3.0, 2.0
# A trainer stopped by a signal goes on at none but another one, so it need not be asked for longer than a person who
# looks at it stops it for; how long its steps take says nothing.
STOPPED_SECONDS = 60.0
# What was learnt of an earlier process holds while the usual activity lies within this factor of what it was.
SAME_FACTOR = 2.0
# A rest or a spin shorter than a collection may not have been seen: another may last three times as long as a
# collection, or as the longest silence, if that is shorter. Where the collections leave room for shorter rests only,
# another may last as a rest in each step may.
UNSEEN = 3.0


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
        self._phases: dict[str, Phase] = {}
        self._unconfirmed: dict[str, Learnt] = {}
        self._phase = ""
        self._progress_at = 0.0
        self._worked_until = self._turns_since = 0.0
        self._limit: float | None = None
        self._pending: deque[tuple[Usage, float]] = deque(maxlen=MOST_OF_A_SILENCE)
        self._longest = {"rest": 0.0, "spinning": 0.0}
        self._age = self._anyhow = 0.0
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
            known = self._phases[phase] = Phase()
        self._age, self._anyhow = now - progress_at, limits.anyhow
        self._pending.append((usage, min(1.0, max(own_seconds, self._age) / usage.seconds)))
        turned = self._follow_turns(usage, now)
        if now - usage.seconds < progress_at:
            if usage.is_stopped:
                self.state, self._limit = "rest", self._find_stopped(limits)
            if not known.explains(usage, usage.seconds - self._age):
                self._worked_until = now
            return
        self.state = known.judge(usage, turned)
        if self.state == "usual":
            self._worked_until = now
        elif self.state == "rest":
            self._longest["rest"] = max(self._longest["rest"], now - self._worked_until)
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
        self._phases = {name: Phase(learnt) for name, learnt in memory.items()} if is_same_process else {}
        self._unconfirmed = {} if is_same_process else dict(memory)

    def _find_limit(self, known: "Phase", limits: Limits) -> float | None:
        if limits.at_rest is None:
            return None
        usual = limits.at_rest / 2.0 if limits.usual is None else limits.usual
        at_work = max(limits.anyhow, min(AT_WORK * usual, MOST_AT_WORK * limits.anyhow))
        worked = (self._turns_since if self.state == "spinning" else self._worked_until) - self._progress_at
        longer = longer_than(usual, limits.anyhow)
        if self.state == "usual":
            return at_work
        if self.state == "rest":
            least, held, before = limits.at_rest, REST_HELD * limits.at_rest, known.rests
        elif self.state == "spinning":
            least, held, before = max(limits.at_rest, SPIN * usual), SPIN_HELD * usual, known.turns
        else:
            least = longer if known.is_known else limits.anyhow
            return min(at_work, max(least, worked + limits.anyhow))
        unseen, longest = UNSEEN * max(self._lengths), math.inf
        if self.state == "rest":
            hidden = known.room_for_rest() * max(self._lengths)
            unseen = min(unseen, longer_than(hidden, SHORTEST_FACTOR * hidden))
        if len(known.silences) >= SETTLED_RUNS:
            longest = known.silences.second_largest()
            unseen = min(unseen, UNSEEN * longest)
        if not known.tells_of_itself():
            least = max(least, min(longer, LONGER_STEPS * longest))
        # One in as many silences as are known may have the first one: the fewer, the longer it may last.
        novelty = usual * SETTLED_RUNS / max(1, len(before)) if len(before) < SETTLED_RUNS else 0.0
        held = max(held, min(max(unseen, novelty), limits.anyhow), min(before.reach(), longer))
        return min(at_work, max(least, worked + held))

    def _follow_turns(self, usage: Usage, now: float) -> float:
        """How long one thread has turned alone in this silence, which may have begun within a collection."""
        if not turns(usage):
            self._turns_since = now
        self._longest["spinning"] = max(self._longest["spinning"], now - self._turns_since)
        return now - self._turns_since

    def _follow_silence(self, usage: Usage, phase: str, progress_at: float, now: float) -> None:
        self.cores = usage.cores
        self._lengths.append(usage.seconds)
        if (phase, progress_at) != (self._phase, self._progress_at):
            self._end_silence()
            self._phase, self._progress_at, self._limit = phase, progress_at, None
            self._worked_until = self._turns_since = self._ran_until = progress_at
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
            # One that lasted longer was a stall, and excuses no other.
            longest = {kind: min(seconds, self._anyhow) for kind, seconds in self._longest.items()}
            self._phases[self._phase].learn(self._pending, longest, self._age)
            self._confirm(self._phase)
        self._pending.clear()
        self._longest = dict.fromkeys(self._longest, 0.0)

    def _confirm(self, name: str) -> None:
        known = self._phases[name]
        if name not in self._unconfirmed or known.usual_cores is None:
            return
        before = Phase(self._unconfirmed[name])
        if before.is_known_alone and not known.is_known_alone:
            return
        del self._unconfirmed[name]
        usual = before.usual_cores or 0.0
        if usual / SAME_FACTOR <= known.usual_cores <= usual * SAME_FACTOR:
            self._phases[name] = before


def _is_still(usage: Usage) -> bool:
    """Whether nothing works that could be seen: a wait for a disk that does not answer is still, too."""
    return not usage.accelerator_busy and usage.moved is not None and not moves(usage) and usage.cores < IDLE_CORES
