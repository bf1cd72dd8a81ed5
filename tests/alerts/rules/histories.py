"""Generated histories of peers and hosts, tick by tick, for both engines: each is one problem or several, long, short,
flapping, cut by a silent sidecar, a restart or a missing sample. Seeded, so that each run sees the same.

A tick is one scrape and one evaluation; durations are counted in ticks, so that a history can be played at any pace.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import Any, NamedTuple

from tests.alerts.rules.scenarios import GIB, HOST, write_page

TICKS = 60
CALM_TICKS = 24
STEPS_PER_TICK = 6
STALL_TICKS = {"training": 4, "saving": 8, "waiting": 20, "starting": 10, "generating": 4}
LIMIT = 4 * GIB

Values = dict[str, float | str | None]


class Episode(NamedTuple):
    """A problem of a peer from one tick to another; what `size` measures depends on the kind."""

    kind: str
    begin: int
    end: int
    size: float = 0.0


@dataclass(frozen=True)
class History:
    """The problems of one peer, or one host."""

    name: str
    episodes: tuple[Episode, ...]
    is_host: bool = False

    @property
    def is_plain(self) -> bool:
        """One problem, without anything else."""
        return len(self.episodes) == 1 and self.episodes[0].end - self.episodes[0].begin > 10

    def pages(self, begin: float, tick: float) -> list[str | None]:
        """The page of each tick, the first at epoch second `begin`; None where the sidecar does not answer."""
        play = _play_host if self.is_host else _play_peer
        return [None if values is None else write_page(values) for values in play(self, begin, tick)]


def settings(tick: float) -> dict[str, dict[str, Any]]:
    """Settings of the rules under which all of a history fits into its ticks."""

    def ticks(count: float) -> str:
        return f"{count * tick:g}s"

    def timing(hold: float, recover: float, **more: Any) -> dict[str, Any]:
        return {"for": ticks(hold), "recover_after": ticks(recover), **more}

    return {
        "AcceleratorLost": timing(2, 2),
        "CrashLoop": timing(0, 0, restarts=3, window=ticks(40), stable_after=ticks(10)),
        "CompletionsCut": timing(0, 1, steps=20),
        "DiskLow": timing(2, 2),
        "HostMemoryPressure": timing(2, 3),
        "LeaderOverruled": timing(2, 1),
        "MemoryExceeded": timing(2, 1),
        "MemoryForecast": timing(3, 3, within=ticks(20), window=ticks(24), least_span=ticks(8), settle=ticks(4)),
        "NoLearningSignal": timing(0, 1, steps=20, after=ticks(5), longer=2),
        "NonFinite": timing(0, 1, steps=3, fraction=0.01, window=ticks(12)),
        "OffBoard": timing(5, 2),
        "PeerDown": timing(2, 2, unreachable_after=ticks(4), start_within=ticks(10)),
        "PeerStalled": timing(0, 1),
        "PolicyMismatch": timing(0, 1, window=ticks(24)),
        "RankDrop": timing(0, 0, window=ticks(20), held_for=ticks(5)),
        "RewardNotCounting": timing(2, 1, after=ticks(8)),
        "RewardRefused": timing(2, 1),
        "RewardStagnant": timing(0, 1, after=ticks(8), unlearned_after=ticks(12), least_steps=10),
        "RoundLag": timing(5, 2),
        "SourceDown": timing(4, 2),
        "StepRateDegraded": timing(4, 2, slot=ticks(1), recent=4, baseline=10, window=ticks(60)),
        "SwarmIsolated": timing(4, 2, unpublished=ticks(5)),
    }


# What goes on from logged step to logged step, and the problem that makes it.
STREAKS = {"in_a_row": "nan", "no_signal": "alike", "cut": "cut"}

# Problems of a peer and how large they may be.
PROBLEMS: Mapping[str, tuple[float, ...]] = {
    "gone": (0,),
    "restart": (1, 14),
    "silent": (0,),
    "hang": (0,),
    "wait": (0,),
    "save": (0,),
    "lag": (4,),
    "unlisted": (0,),
    "unread": (0,),
    "rank": (5,),
    "memory": (0.97, 0.92),
    "leak": (0.04,),
    "nan": (0.3, 6),
    "slow": (1.4, 3),
    "alike": (0, 1e-4),
    "cut": (0,),
    "stagnant": (0,),
    "uncounted": (0, 1),
    "chain lag": (4,),
    "chain unread": (0,),
    "alone": (0,),
    "unpublished": (0,),
    "collector": (0,),
    "card": (0,),
    "restarting": (0,),
    "useless": (0,),
    "overruled": (0,),
    "refused": (0,),
}
MISSING = (
    "up",
    "stall_after",
    "phase_start",
    "footprint",
    "limit",
    "lag",
    "credited",
    "connected",
    "nonfinite",
    "gradient",
    "clipped",
    "rank",
    "collector",
)
HOST_PROBLEMS: Mapping[str, tuple[float, ...]] = {
    "full": (0.05, 0.3),
    "level": (2, 4),
    "swapped": (0,),
    "disk": (0.5, 2, 5.2, 9),
    "silent": (0,),
}


def generate(seed: int) -> list[History]:
    """Each problem in each of its shapes; the same list for the same seed."""
    random = Random(seed)
    found = []
    for problems, is_host in ((PROBLEMS, False), (HOST_PROBLEMS, True)):
        for kind, sizes in problems.items():
            for size in sizes:
                for shape, episodes in _shapes(kind, size, random, is_host=is_host):
                    name = f"{kind}-{size:g}-{shape}{'-host' if is_host else ''}"
                    found.append(History(name, tuple(episodes), is_host))
    return found


def part_of(histories: Iterable[History], *, others: int) -> list[History]:
    """Of each problem in each size its first shape, and so many of the others in turn."""
    part = []
    groups = groupby(histories, lambda one: (one.episodes[0].kind, one.episodes[0].size, one.is_host))
    for place, (_, group) in enumerate(groups):
        first, *more = group
        part += [first, *(more[(place + number) % len(more)] for number in range(others))]
    return part


def _shapes(kind: str, size: float, random: Random, *, is_host: bool) -> Iterator[tuple[str, list[Episode]]]:
    begin = CALM_TICKS + random.randint(0, 4)
    length = random.randint(14, 20)
    middle = begin + random.randint(6, 9)
    long = Episode(kind, begin, begin + length, size)
    yield "long", [long]
    yield "short", [Episode(kind, begin, begin + random.randint(1, 3), size)]
    starts = [begin]
    while len(starts) < 5:
        starts.append(starts[-1] + random.randint(5, 8))
    yield "flapping", [Episode(kind, start, start + random.randint(2, 4), size) for start in starts]
    if kind != "silent":
        yield "gap", [long, Episode("silent", middle, middle + random.randint(1, 3))]
        yield "silence", [long, Episode("silent", middle, middle + random.randint(6, 10))]
    if is_host:
        return
    if kind not in ("gone", "restart"):
        yield "restart", [long, Episode("restart", middle, middle + 1, random.randint(1, 4))]
        yield "gone", [long, Episode("gone", middle, middle + random.randint(5, 9))]
    yield "missing", [long, Episode(f"no {random.choice(MISSING)}", middle, middle + random.randint(2, 6))]
    other = random.choice(sorted(set(PROBLEMS) - {kind, "silent"}))
    other_begin = begin + random.randint(0, 10)
    yield f"with-{other}", [long, Episode(other, other_begin, other_begin + 12, random.choice(PROBLEMS[other]))]


class _Peer:
    """A trainer's life, and what its sidecar serves."""

    def __init__(self, now: float, tick: float) -> None:
        self.tick = tick
        self.started = now - 100 * tick
        self.starting_until = 0
        self.last_step = now - 0.1 * tick
        self.phase, self.phase_start = "training", now - 50 * tick
        self.steps, self.busy, self.nonfinite = 9000.0, 9000.0 * tick / STEPS_PER_TICK, 0.0
        self.streaks: dict[str, int] = {}
        self.since: dict[str, float] = {}
        self.cumulative, self.published, self.failures = 50.0, now - 0.5 * tick, 0.0
        self.credited = self.voted = self.round_change = now - 0.5 * tick
        self.footprint, self.is_gone = 0.5 * LIMIT, False

    def restart(self, number: int, takes: int, now: float) -> None:
        self.started, self.starting_until = now - 0.2 * self.tick, number + takes
        self.phase, self.phase_start = "starting", self.started
        self.steps = self.busy = self.nonfinite = self.failures = 0.0
        self.streaks, self.since = {}, {}
        self.footprint = 0.5 * LIMIT

    def live(self, number: int, now: float, active: Mapping[str, Episode]) -> None:
        """One tick of it."""
        if "gone" in active:
            self.is_gone = True
            return
        restart = active.get("restart")
        if self.is_gone or (restart and restart.begin == number):
            self.restart(number, int(restart.size) if restart else 2, now)
            self.is_gone = False
        if number < self.starting_until:
            return
        resting = next((phase for kind, phase in (("wait", "waiting"), ("save", "saving")) if kind in active), None)
        self._enter(resting or "training", now)
        if resting is None and "hang" not in active:
            self._step(now, active)
        self.footprint += active["leak"].size * LIMIT if "leak" in active else 0.0

    def _enter(self, phase: str, now: float) -> None:
        if phase != self.phase:
            self.phase, self.phase_start = phase, max(self.started, now - 0.9 * self.tick)

    def _step(self, now: float, active: Mapping[str, Episode]) -> None:
        steps = STEPS_PER_TICK / (active["slow"].size if "slow" in active else 1.0)
        self.steps += steps
        self.busy += self.tick
        self.last_step = now - 0.1 * self.tick
        self.nonfinite += active["nan"].size if "nan" in active else 0.0
        for streak, problem in STREAKS.items():
            if problem not in active or (problem == "nan" and active[problem].size < 1):
                self.streaks[streak] = 0
                self.since.pop(streak, None)
                continue
            self.since.setdefault(streak, now - 0.5 * self.tick)
            self.streaks[streak] = self.streaks.get(streak, 0) + STEPS_PER_TICK
        self.cumulative += 0.0 if "stagnant" in active else 1.0
        self._take_part(now, active)
        if "unpublished" in active:
            self.failures += 1.0
        else:
            self.published = now - 0.2 * self.tick

    def _take_part(self, now: float, active: Mapping[str, Episode]) -> None:
        """On a contract: of size 1 its participation is counted, else only the peer's own rounds tell of it."""
        self.round_change = now - 0.3 * self.tick
        if "uncounted" not in active:
            self.credited = now - 0.2 * self.tick
        if "uncounted" not in active or active["uncounted"].size:
            self.voted = now - 0.2 * self.tick

    def values(self, now: float, active: Mapping[str, Episode]) -> Values:
        memory = active["memory"].size * LIMIT if "memory" in active else self.footprint
        listed = "unlisted" not in active
        rank = 2.0 + (active["rank"].size if "rank" in active else 0.0)
        values: Values = {
            "up": 0.0 if self.is_gone else 1.0,
            "state": self.phase,
            "started": None if self.is_gone else self.started,
            "phase_start": self.phase_start,
            "last_step": self.last_step,
            "stall_after": STALL_TICKS[self.phase] * self.tick,
            "steps": self.steps,
            "step_seconds": self.busy,
            "step_count": self.steps,
            "nonfinite": self.nonfinite,
            "in_a_row": self.streaks.get("in_a_row"),
            "no_signal": self.streaks.get("no_signal"),
            "no_signal_since": self.since.get("no_signal"),
            "cut": self.streaks.get("cut"),
            "cut_since": self.since.get("cut"),
            "reward": 0.3,
            "lowest": 0.1,
            "highest": 0.6,
            "gradient": active["alike"].size if "alike" in active else 0.4,
            "clipped": 1.0 if "cut" in active else 0.3,
            "cpu": None if self.is_gone else self.busy,
            "footprint": None if self.is_gone else memory,
            "limit": LIMIT,
            "rank": rank if listed else None,
            "ranked": 10.0,
            "cumulative": self.cumulative if listed else None,
            "lag": active["lag"].size if "lag" in active else 0.0,
            "connected": 0.0 if "alone" in active else 4.0,
            "published": self.published,
            "failures": self.failures,
            "source_up": 0.0 if "unread" in active else 1.0,
            "chain_up": 0.0 if "chain unread" in active else 1.0,
            "chain_lag": active["chain lag"].size if "chain lag" in active else 0.0,
            "credited": self.credited,
            "voted": self.voted,
            "round_change": self.round_change,
            "collector": 0.0 if "collector" in active else 1.0,
        }
        # Such a peer has no board.
        values |= {"lag": None} if "chain lag" in active else {}
        values["card_lost"] = 1.0 if "card" in active else None
        values |= {kind: float(kind in active) for kind in ("restarting", "useless", "overruled", "refused")}
        for kind in active:
            if kind.startswith("no "):
                values[kind.removeprefix("no ")] = None
        return values


def _play_peer(history: History, begin: float, tick: float) -> Iterator[Values | None]:
    peer = _Peer(begin, tick)
    for number in range(TICKS):
        now = begin + number * tick
        active = _active(history, number)
        peer.live(number, now, active)
        yield None if "silent" in active else peer.values(now, active)


def _play_host(history: History, _begin: float, _tick: float) -> Iterator[Values | None]:
    for number in range(TICKS):
        active = _active(history, number)
        values: Values = dict(HOST)
        if "full" in active:
            values["full"] = active["full"].size
        if "level" in active:
            values |= {"full": None, "level": active["level"].size}
        if "swapped" in active:
            values |= {"full": None, "available": 0.5 * GIB, "swap": 6 * GIB}
        if "disk" in active:
            values |= {"free": active["disk"].size * GIB, "disk": 100 * GIB}
        yield None if "silent" in active else values


def _active(history: History, number: int) -> dict[str, Episode]:
    return {episode.kind: episode for episode in history.episodes if episode.begin <= number < episode.end}
