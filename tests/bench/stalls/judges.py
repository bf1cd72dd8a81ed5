"""Scores stall detectors on traces: false alarms while the peer works, and the delay until a hang is detected."""

import itertools
import math
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from exporter.activity.model import Activity, Limits
from exporter.activity.usage import LEAST_SECONDS, Usage
from exporter.pace import Pace
from exporter.snapshot import LOOK_SECONDS
from tests.bench.stalls.traces import Trace
from tests.bench.stalls.watchdogs import WATCHDOGS, judge_watchdogs
from tests.bench.stalls.workload import COLLECTION_SECONDS, Hang, hang_of, list_uses

HANGS_PER_TRACE = 20
OURS, OURS_OF_STEPS = "pace of each phase, and activity", "pace of whole steps, and activity"
PACE, PACE_OF_STEPS = "pace of each phase", "pace of whole steps"
# The one that a recorded run ended with.
OF_ITS_OWN = "the run's own"
DETECTORS = (OURS, OURS_OF_STEPS, PACE, PACE_OF_STEPS, *WATCHDOGS)
# Nobody waits longer for a detector.
LONGEST_DELAY_SECONDS = 86400.0


@dataclass
class Score:
    """What one detector did on a set of traces; delays in median steps of the peer, by the kind of hang.

    `seconds` are the same delays in seconds, of Peerwatch only.
    """

    traces: int = 0
    false_alarms: int = 0
    delays: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    @property
    def alarms_per_trace(self) -> float:
        return self.false_alarms / self.traces

    @property
    def most_alarms_per_trace(self) -> float:
        """The rate that would give no more alarms than these once in twenty times: 3 in all where there were none."""
        counts = range(self.false_alarms + 1)
        low, high = 0.0, 10.0 + 3.0 * self.false_alarms
        for _ in range(60):
            mean = (low + high) / 2.0
            no_more = sum(math.exp(count * math.log(mean) - mean - math.lgamma(count + 1)) for count in counts)
            low, high = (mean, high) if no_more > 0.05 else (low, mean)
        return high / self.traces

    def delay(self, share: float, kind: str | None = None) -> float:
        """The delay in median steps that this share of the hangs is detected within: of all, or of those whose kind
        begins so.
        """
        delays = [delay for one, found in self.delays.items() if one.startswith(kind or "") for delay in found]
        return float(np.quantile(delays, share, method="higher")) if delays else float("nan")

    def note(self, kind: str, delay: float) -> None:
        """Takes the delay of one hang; an alarm before it began is a false one, counted as such."""
        self.delays.setdefault(kind, []).append(max(delay, 0.0))

    def add(self, other: "Score") -> None:
        """Adds what the detector did on more traces."""
        self.traces += other.traces
        self.false_alarms += other.false_alarms
        self.seconds += other.seconds
        for kind, delays in other.delays.items():
            self.delays.setdefault(kind, []).extend(delays)


@dataclass(frozen=True)
class Placed:
    """A hang, the step that it begins in, and how many seconds into it."""

    step: int
    elapsed: float
    hang: Hang


def judge(traces: Iterable[Trace], seed: int, recorded: Sequence[Hang] = ()) -> dict[str, Score]:
    """Scores of Peerwatch and of the watchdogs that operators use now, on the same hangs; `recorded`, or of the model.

    A hang begins at any instant of a step. Our trainers report their phases; a log shows only whole steps.
    """
    scores = {name: Score() for name in DETECTORS}
    for index, trace in enumerate(traces):
        random = np.random.default_rng([seed, index])
        # A recording of minutes stands for a run of weeks, which hangs in its first minute seldom.
        possible = np.arange(len(trace.steps) // 4 if recorded else 1, len(trace.steps))
        steps = np.sort(random.choice(possible, size=HANGS_PER_TRACE, replace=len(possible) < HANGS_PER_TRACE))
        unit = float(np.median(trace.steps))
        placed = [
            Placed(
                int(step),
                float(random.random() * trace.steps[step]),
                recorded[int(random.integers(len(recorded)))] if recorded else hang_of(random, trace.workload),
            )
            for step in steps
        ]
        for score in scores.values():
            score.traces += 1
        judge_watchdogs(trace, placed, unit, scores)
        uses = list_uses(trace.activity, trace.workload)
        for ours, pace, generating in (
            (OURS, PACE, trace.generating),
            (OURS_OF_STEPS, PACE_OF_STEPS, np.zeros(len(trace.steps))),
        ):
            watch = Watch(trace, placed, uses)
            watch.follow(generating.tolist())
            scores[ours].false_alarms += watch.alarms
            scores[pace].false_alarms += watch.alarms_of_pace
            for one, delay, delay_of_pace in watch.delays:
                scores[ours].note(one, delay / unit)
                scores[ours].seconds.append(max(delay, 0.0))
                scores[pace].note(one, delay_of_pace / unit)
    return scores


class PhaseSeconds:
    """The counters of seconds by phase that a trainer publishes, as two collections show them."""

    def __init__(self) -> None:
        self._total: dict[str, float] = {}
        self._seen: dict[str, float] = {}

    def add(self, phase: str, seconds: float) -> None:
        """Takes a silence that is over."""
        self._total[phase] = self._total.get(phase, 0.0) + seconds

    def since_last(self, phase: str, seconds: float) -> float:
        """Seconds in a phase since the collection before, of which this one has so many in the present silence."""
        seen, self._seen = self._seen, dict(self._total)
        self._seen[phase] = self._total.get(phase, 0.0) + seconds
        return self._seen[phase] - seen.get(phase, 0.0)


class Watch:
    """The sidecar and the rule on one trace: they collect at an interval, and when the silence becomes a stall."""

    def __init__(self, trace: Trace, placed: Sequence[Placed], uses: Sequence[Usage]) -> None:
        self.alarms = self.alarms_of_pace = 0
        self.delays: list[tuple[str, float, float]] = []
        self._trace = trace
        self._placed: dict[int, list[Placed]] = {}
        for one in placed:
            self._placed.setdefault(one.step, []).append(one)
        self._pace = Pace()
        self._activity = Activity()
        self._uses = uses
        self._ends = trace.activity.ends.tolist()
        self._next = 0
        self._collected_at = 0.0
        self._spent = PhaseSeconds()

    def follow(self, generating: Sequence[float]) -> None:
        """Follows the trace; `generating` are the seconds of each step that are reported as such."""
        trace, at = self._trace, 0.0
        rows = zip(
            trace.starts.tolist(),
            generating,
            trace.steps.tolist(),
            trace.saves.tolist(),
            trace.waits.tolist(),
            strict=True,
        )
        for index, (starts, made, whole, saves, waits) in enumerate(rows):
            if starts:
                self._pace = Pace()
                self._activity.pause()
            for one in self._placed.get(index, ()):
                self._try_hang(at, made, one)
            if made:
                self._silence(at, at + made, "generating")
            self._silence(at + made, at + whole, "training")
            at += whole
            for phase, seconds in (("saving", saves), ("waiting", waits)):
                if seconds:
                    self._rest(at, at + seconds, phase)
                    at += seconds
        if trace.hang is not None:
            phase = "training" if not any(generating) else "generating"
            self._hang_at_the_end(at, phase)

    def _silence(self, begin: float, end: float, phase: str) -> None:
        seconds = end - begin
        is_seen = self._next < len(self._ends) and self._ends[self._next] <= end
        if not is_seen and seconds <= self._pace.stall_after(phase):
            self._pace.add(seconds, phase)
            self._spent.add(phase, seconds)
            return
        limits = self._limits(phase)
        self.alarms_of_pace += seconds > limits.anyhow
        found = _first_alarm(
            self._activity, self._collections(end), begin, end, phase, limits, self._collected_at, self._spent
        )
        self.alarms += found is not None
        self._spent.add(phase, seconds)
        self._collected_at = self._ends[self._next - 1] if self._next else 0.0
        self._pace.add(seconds, phase)

    def _rest(self, begin: float, end: float, phase: str) -> None:
        is_late = end - begin > self._pace.stall_after(phase)
        self.alarms += is_late
        self.alarms_of_pace += is_late
        if any(True for _ in self._collections(end)):
            self._activity.pause()

    def _collections(self, end: float) -> Iterator[tuple[float, Usage]]:
        """Those that are due up to an instant."""
        while self._next < len(self._ends) and self._ends[self._next] <= end:
            self._next += 1
            yield self._ends[self._next - 1], self._uses[self._next - 1]

    def _limits(self, phase: str) -> Limits:
        pace = self._pace
        return Limits(pace.stall_after(phase), pace.stall_at_rest_after(phase), pace.usual(phase))

    def _try_hang(self, step_begin: float, made: float, one: Placed) -> None:
        """Lets a copy of the watch see a hang, and notes both delays; the watch itself goes on."""
        kept = self._next, self._collected_at
        activity, spent = pickle.loads(pickle.dumps((self._activity, self._spent)))
        hang_at = step_begin + one.elapsed
        begin, phase = (step_begin, "generating") if one.elapsed < made else (step_begin + made, "training")
        if phase == "training" and made:
            seen = self._collections(begin)
            limits = self._limits("generating")
            _first_alarm(activity, seen, step_begin, begin, "generating", limits, kept[1], spent)
            spent.add("generating", made)
        collected_at = self._ends[self._next - 1] if self._next else 0.0
        before = list(self._collections(hang_at))
        hung = _hung_collections(
            before[-1][0] if before else collected_at, hang_at, self._uses[self._next - 1], one.hang
        )
        self._next, self._collected_at = kept
        seen = itertools.chain(before, hung)
        self._note(activity, seen, begin, hang_at, phase, one.hang.kind, collected_at, spent)

    def _hang_at_the_end(self, begin: float, phase: str) -> None:
        hang = self._trace.hang
        assert hang is not None
        uses = list_uses(hang.activity, self._trace.workload)
        ends = hang.activity.ends.tolist()
        uses[0] = uses[0]._replace(seconds=min(uses[0].seconds, COLLECTION_SECONDS))
        later = _repeat(ends[-1], uses[-1])
        self._note(
            self._activity,
            itertools.chain(zip(ends, uses, strict=True), later),
            begin,
            hang.at,
            phase,
            OF_ITS_OWN,
            self._collected_at,
            self._spent,
        )

    def _note(
        self,
        activity: Activity,
        seen: Iterable[tuple[float, Usage]],
        begin: float,
        hang_at: float,
        phase: str,
        kind: str,
        collected_at: float,
        spent: "PhaseSeconds",
    ) -> None:
        limits = self._limits(phase)
        end = hang_at + LONGEST_DELAY_SECONDS
        at = _first_alarm(activity, seen, begin, end, phase, limits, collected_at, spent, hang_at)
        self.delays.append((kind, (end if at is None else at) - hang_at, begin + limits.anyhow - hang_at))


def _hung_collections(last: float, hang_at: float, mixed: Usage, hang: Hang) -> Iterator[tuple[float, Usage]]:
    """The one that the hang begins in, with some of the work before it, then those of the hang alone."""
    at = last + COLLECTION_SECONDS
    worked = min(1.0, max(0.0, hang_at - last) / COLLECTION_SECONDS)
    cores = worked * mixed.cores + (1.0 - worked) * hang.uses[0].cores
    yield at, hang.uses[0]._replace(seconds=COLLECTION_SECONDS, cores=cores)
    for use in hang.uses:
        at += COLLECTION_SECONDS
        yield at, use._replace(seconds=COLLECTION_SECONDS)
    yield from _repeat(at, hang.uses[-1])


def _repeat(at: float, use: Usage) -> Iterator[tuple[float, Usage]]:
    for count in range(1, int(LONGEST_DELAY_SECONDS / COLLECTION_SECONDS)):
        yield at + count * COLLECTION_SECONDS, use._replace(seconds=COLLECTION_SECONDS)


def _next_look(begin: float, limit: float, limits: Limits, collected_at: float) -> float:
    looks = [begin + limit] if begin + limit - collected_at >= LEAST_SECONDS else []
    if limits.at_rest is not None and begin + limits.at_rest > collected_at:
        looks.append(max(begin + limits.at_rest, collected_at + LOOK_SECONDS))
    return min(looks, default=math.inf)


def _first_alarm(
    activity: Activity,
    seen: Iterable[tuple[float, Usage]],
    begin: float,
    end: float,
    phase: str,
    limits: Limits,
    collected_at: float,
    spent: PhaseSeconds,
    hang_at: float | None = None,
) -> float | None:
    """When a silence from `begin` to `end` becomes a stall; None if it does not. All collections up to there are taken,
    and of one that is no hang all of them. Nothing is stopped before the instant of its hang.
    """
    found: float | None = None
    # What the collections before showed is of an earlier silence.
    limit = limits.anyhow
    for at, use in seen:
        # The sidecar collects at the instant of the stall too, and when a trainer at rest would be stalled.
        while found is None and (due := _next_look(begin, limit, limits, collected_at)) < at:
            own = spent.since_last(phase, due - begin)
            is_stopped = use.is_stopped and (hang_at is None or due >= hang_at)
            look = use._replace(seconds=due - collected_at, is_stopped=is_stopped)
            activity.observe(look, phase, begin, limits, due, own_seconds=own)
            limit = activity.stall_after() or limits.anyhow
            collected_at = due
            use = use._replace(seconds=at - due)
        if found is None and begin + limit < at:
            found = max(begin + limit, collected_at)
            if hang_at is not None:
                break
        if at - collected_at >= LEAST_SECONDS:
            activity.observe(use, phase, begin, limits, at, own_seconds=spent.since_last(phase, at - begin))
            limit = activity.stall_after() or limits.anyhow
            collected_at = at
    if found is None and begin + limit < end:
        found = max(begin + limit, collected_at)
    return found
