"""For each rule: when it must fire, when it must not, and when it is over."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.alerts.rules.accelerator_cases import ACCELERATOR_CASES
from tests.alerts.rules.learning_cases import LEARNING_CASES
from tests.alerts.rules.scenarios import GIB, MINUTE, Changes, Scenario
from tests.alerts.rules.swarm_cases import SWARM_CASES


def _restarted(minute: float, now: float, *, at: float, every: float = 1e9, takes: float = 1.0) -> dict[str, Any]:
    """A process that was started `at` a minute, and then every so many again; it starts for `takes` minutes."""
    if minute < at:
        return {}
    age = (minute - at) % every
    started = now - age * MINUTE
    if age < takes:
        return {"started": started, "phase_start": started, "state": "starting", "last_step": started - 30, "steps": 0}
    steps = 6 * (age - takes)
    return {"started": started, "steps": steps, "step_count": steps, "step_seconds": 10 * steps, "last_step": now - 3}


def _paused(minute: float, now: float, *, begin: float, end: float, state: str, budget: float | None) -> dict[str, Any]:
    """A phase without steps from one minute to another."""
    if not begin <= minute < end:
        return {}
    since = now - (minute - begin) * MINUTE
    return {"state": state, "phase_start": since, "last_step": since - 3, "stall_after": budget}


def _down(minute: float, begin: float, end: float = 1e9) -> Mapping[str, Any]:
    return {"up": 0, "started": None, "cpu": None, "footprint": None} if begin <= minute < end else {}


def _ended(minute: float, now: float, *, at: float, until: float = 1e9, **how: float) -> Changes:
    """A process that ended at a minute, and how."""
    return {**_down(minute, at, until), **how} if at <= minute < until else {}


def _unread(minute: float, now: float, *, begin: float, end: float, cores: float) -> Changes:
    """A trainer whose log says nothing from one minute to another, while it keeps so many cores busy."""
    silent = min(max(0.0, minute - begin), end - begin)
    changes: dict[str, Any] = {"readers": 1, "log_up": 1, "cpu": 50 * (minute + 1440 - silent) + 60 * cores * silent}
    if begin <= minute < end:
        changes |= {"last_step": now - silent * MINUTE - 3, "phase_start": now - silent * MINUTE - 90}
    return changes


def _hung(minute: float, now: float) -> Changes:
    return _paused(minute, now, begin=10, end=30, state="training", budget=60)


def _slow(minute: float, now: float, *, limit: float, **activity: float) -> Changes:
    """A silence of twenty minutes during which the sidecar tells a limit and an activity."""
    changes = _paused(minute, now, begin=10, end=30, state="training", budget=300)
    return {**changes, "active_stall_after": limit, **activity} if changes else {}


def _growing(minute: float, now: float, *, hourly: float, until: float = 1e9) -> Changes:
    return {"footprint": (2 + hourly * min(minute, until) / 60) * GIB}


def _sawtooth(minute: float, now: float) -> Changes:
    return {"footprint": (2 + 1.5 * (minute % 45) / 45) * GIB}


def _degraded(minute: float, now: float, *, begin: float, end: float, factor: float) -> Changes:
    slow = max(0.0, min(minute, end) - begin)
    steps = 6 * (minute - slow + slow / factor)
    return {"step_count": steps, "step_seconds": 60 * minute, "steps": steps}


def _stagnant(minute: float, now: float, *, begin: float, end: float = 1e9) -> Changes:
    return {"cumulative": 50 + minute - max(0.0, min(minute, end) - begin)}


def _late_credit(minute: float, now: float) -> Changes:
    """A swarm that credits the reward every three hours."""
    return {"cumulative": 50 + minute // 180}


def _nan(minute: float, begin: float, end: float) -> Changes:
    return {"nonfinite": 6 * max(0.0, min(minute, end) - begin)}


def _unpublished(minute: float, now: float) -> Changes:
    return {"published": now - (minute - 20) * MINUTE, "failures": minute} if 20 <= minute < 80 else {}


def _phase(phase: str, begin: float, end: float) -> Callable[[float, float], Changes]:
    """The phase of the peer's restart, from one minute to another."""
    return lambda minute, _now: {phase: 1} if begin <= minute < end else {}


CASES = (
    *ACCELERATOR_CASES,
    Scenario("PeerDown", "the process is gone, then back", lambda m, n: _down(m, 5, 15), (7, 14), (4, 17)),
    Scenario("PeerDown", "the sidecar is silent", lambda m, n: None if 5 <= m < 15 else {}, (8, 14), (5, 17)),
    Scenario("PeerDown", "one restart", lambda m, n: _restarted(m, n, at=5, takes=3), quiet=(5, 6, 8, 9, 20)),
    Scenario(
        "PeerDown",
        "a start that takes too long",
        lambda m, n: {**_restarted(m, n, at=5, takes=20), "stall_after": 600},
        (17, 24),
        (14, 28),
    ),
    Scenario("PeerDown", "it has finished", lambda m, n: _ended(m, n, at=5, exit_code=0), quiet=(4, 8, 40)),
    Scenario(
        "PeerDown",
        "all expected steps are made",
        lambda m, n: _ended(m, n, at=5, expected=9030, steps=9030),
        quiet=(8, 40),
    ),
    Scenario("PeerDown", "it has ended early", lambda m, n: _ended(m, n, at=5, expected=9900, steps=9030), (8,), (4,)),
    Scenario(
        "PeerDown",
        "the first report takes long",
        lambda m, n: {**_restarted(m, n, at=5, takes=20), "stall_after": 600, "readers": 1},
        quiet=(17, 24),
    ),
    Scenario(
        "PeerFailed",
        "an error, and a start",
        lambda m, n: _ended(m, n, at=5, until=15, exit_code=1),
        (5, 14),
        (4, 17),
    ),
    Scenario("PeerFailed", "a signal", lambda m, n: _ended(m, n, at=5, exit_code=139, oom_killed=0), (5, 9), (4,)),
    Scenario(
        "PeerFailed", "killed for memory", lambda m, n: _ended(m, n, at=5, exit_code=137, oom_killed=1), (5,), (4,)
    ),
    Scenario(
        "PeerFailed", "killed for memory, as the kernel says", lambda m, n: _ended(m, n, at=5, oom_killed=1), (5,)
    ),
    Scenario(
        "PeerFailed",
        "finished while another was killed",
        lambda m, n: _ended(m, n, at=5, exit_code=0, oom_killed=1),
        quiet=(5, 9),
    ),
    Scenario("PeerFailed", "stopped by a person", lambda m, n: _ended(m, n, at=5, exit_code=143), quiet=(5, 9)),
    Scenario("PeerFailed", "nobody knows how", lambda m, n: _ended(m, n, at=5), quiet=(5, 9)),
    Scenario(
        "ProgressMissing",
        "it works and says nothing, then speaks",
        lambda m, n: _unread(m, n, begin=10, end=30, cores=0.8),
        (14, 29),
        (10, 33),
    ),
    Scenario("ProgressMissing", "it rests", lambda m, n: _unread(m, n, begin=10, end=30, cores=0.001), quiet=(14, 29)),
    Scenario(
        "ProgressMissing",
        "nothing from its start on, then a report",
        lambda m, n: {**_restarted(m, n, at=5, takes=60), "readers": 1, "log_up": 0},
        (40, 60),
        (30, 70),
    ),
    Scenario(
        "ProgressMissing",
        "a trainer that reports by itself",
        lambda m, n: {**_unread(m, n, begin=10, end=30, cores=0.8), "readers": None},
        quiet=(14, 29),
    ),
    Scenario(
        "PeerStalled",
        "what is read of it stops, and it rests",
        lambda m, n: _unread(m, n, begin=10, end=30, cores=0.001),
        (14, 29),
        (10, 33),
    ),
    Scenario(
        "PeerStalled",
        "what is read of it stops, and it works",
        lambda m, n: _unread(m, n, begin=10, end=30, cores=0.8),
        quiet=(14, 29),
    ),
    Scenario("PeerStalled", "a hang, and its end", _hung, (12, 29), (10, 31)),
    Scenario(
        "PeerStalled",
        "a wait for the round and a checkpoint within their budgets",
        lambda m, n: {
            **_paused(m, n, begin=10, end=35, state="waiting", budget=1800),
            **_paused(m, n, begin=50, end=58, state="saving", budget=600),
        },
        quiet=(12, 34, 36, 57, 60),
    ),
    Scenario(
        "PeerStalled",
        "a start is PeerDown's",
        lambda m, n: {**_restarted(m, n, at=5, takes=20), "stall_after": 600},
        quiet=(17, 24),
    ),
    Scenario(
        "PeerStalled",
        "a training that has ended in a process that lives on",
        lambda m, n: _paused(m, n, begin=10, end=60, state="stopped", budget=60),
        quiet=(12, 34, 59),
    ),
    Scenario(
        "PeerStalled",
        "a training that hung, and was ended",
        lambda m, n: {**_hung(m, n), **_paused(m, n, begin=20, end=60, state="stopped", budget=None)},
        (12, 19),
        (10, 22, 59),
    ),
    Scenario(
        "PeerStalled", "a hang at rest", lambda m, n: _slow(m, n, limit=120, rests=1, works=0), (13, 29), (11, 31)
    ),
    Scenario(
        "PeerStalled", "slow, but at work", lambda m, n: _slow(m, n, limit=1500, rests=0, works=1), quiet=(16, 29, 31)
    ),
    Scenario(
        "PeerStalled", "a hang at work", lambda m, n: _slow(m, n, limit=900, rests=0, works=1), (26, 29), (16, 24, 31)
    ),
    Scenario(
        "PeerStalled",
        "what is read of it stops, and it hardly does anything any more",
        lambda m, n: {**_unread(m, n, begin=10, end=30, cores=0.05), **({"rests": 1, "works": 0} if m >= 10 else {})},
        (14, 29),
        (10, 33),
    ),
    Scenario(
        "PeerStalled",
        "what is read of it stops, and it works as little as always",
        lambda m, n: {**_unread(m, n, begin=10, end=30, cores=0.01), **({"rests": 0, "works": 1} if m >= 10 else {})},
        quiet=(14, 29),
    ),
    Scenario(
        "PeerStalled",
        "what is read of it stops, and it spins",
        lambda m, n: {**_unread(m, n, begin=10, end=30, cores=1.0), **({"works": 0, "spins": 1} if m >= 10 else {})},
        (14, 29),
        (10, 33),
    ),
    Scenario(
        "PeerStalled",
        "what is read of it cannot be read any more, and it spins",
        lambda m, n: {
            **_unread(m, n, begin=10, end=30, cores=1.0),
            **({"works": 0, "spins": 1, "log_up": 0} if m >= 10 else {}),
        },
        quiet=(14, 29),
    ),
    Scenario(
        "ProgressMissing",
        "it spins as it never did",
        lambda m, n: {**_unread(m, n, begin=10, end=30, cores=1.0), **({"works": 0, "spins": 1} if m >= 10 else {})},
        quiet=(14, 29),
    ),
    Scenario(
        "ProgressMissing",
        "it spins, and cannot be read",
        lambda m, n: {
            **_unread(m, n, begin=10, end=30, cores=1.0),
            **({"works": 0, "spins": 1, "log_up": 0} if m >= 10 else {}),
        },
        (14, 29),
        (10, 33),
    ),
    Scenario(
        "ProgressMissing",
        "it works as little as always",
        lambda m, n: {**_unread(m, n, begin=10, end=30, cores=0.01), **({"rests": 0, "works": 1} if m >= 10 else {})},
        (14, 29),
        (10, 33),
    ),
    Scenario("PeerStalled", "a peer that is down", lambda m, n: {**_hung(m, n), **_down(m, 8)}, quiet=(12, 29)),
    Scenario(
        "MemoryExceeded",
        "over its limit, then restarted",
        lambda m, n: {"footprint": 3.9 * GIB} if 5 <= m < 15 else {},
        (6, 14),
        (4, 17),
    ),
    Scenario("MemoryExceeded", "near its limit", lambda m, n: {"footprint": 3.7 * GIB}, quiet=(20,)),
    Scenario(
        "RankDrop",
        "places lost and won back",
        lambda m, n: {"rank": 6 if 30 <= m < 60 else 2},
        (35, 59),
        (29, 66),
        settings={"window": "1h"},
    ),
    Scenario(
        "RankDrop",
        "an empty board",
        lambda m, n: {"source_up": 0, "rank": None, "ranked": None} if m > 30 else {},
        quiet=(29, 40),
    ),
    Scenario("RoundLag", "left behind, then back", lambda m, n: {"lag": 4 if 5 <= m < 60 else 0}, (30, 59), (20, 63)),
    Scenario(
        "RoundLag",
        "waits while the swarm is a round ahead",
        lambda m, n: {"lag": 1, "state": "waiting"} if m >= 5 else {},
        (30,),
        (20,),
    ),
    Scenario("RoundLag", "slower than the swarm", lambda m, n: {"lag": m // 20 % 4}, quiet=(19, 59, 79, 159, 239)),
    Scenario("RoundLag", "an old board", lambda m, n: {"lag": 9, "source_up": 0}, quiet=(60,)),
    Scenario(
        "OffBoard",
        "not listed, then listed",
        lambda m, n: {"rank": None, "ranked": None, "cumulative": None} if 5 <= m < 60 else {},
        (40, 59),
        (30, 63),
    ),
    Scenario("OffBoard", "an empty board", lambda m, n: {"rank": None, "source_up": 0}, quiet=(60,)),
    Scenario("OffBoard", "nothing published yet", lambda m, n: {"rank": None, "published": None}, quiet=(60,)),
    Scenario("MemoryForecast", "a leak", lambda m, n: _growing(m, n, hourly=0.3), (330,), (60, 100)),
    Scenario("MemoryForecast", "slow growth", lambda m, n: _growing(m, n, hourly=0.02), quiet=(120, 240, 400)),
    Scenario("MemoryForecast", "a sawtooth", _sawtooth, quiet=(130, 200, 260, 331, 400)),
    Scenario(
        "MemoryForecast",
        "a leak until a restart",
        lambda m, n: {"footprint": GIB, **_restarted(m, n, at=340)} if m >= 340 else _growing(m, n, hourly=0.3),
        (330,),
        (380,),
    ),
    Scenario(
        "MemoryForecast",
        "growth that levels off",
        lambda m, n: _growing(m, n, hourly=0.3, until=150),
        quiet=(150, 300, 420),
    ),
    Scenario("HostMemoryPressure", "stalls", lambda m, n: {"full": 0.3 if 5 <= m < 15 else 0.01}, (8, 14), (5, 22)),
    Scenario("HostMemoryPressure", "macOS", lambda m, n: {"full": None, "level": 4 if m >= 5 else 1}, (8,), (4,)),
    Scenario(
        "HostMemoryPressure",
        "no pressure is reported, but little is left and much is swapped",
        lambda m, n: {"full": None, "available": 0.5 * GIB, "swap": 6 * GIB},
        (4,),
    ),
    Scenario(
        "HostMemoryPressure",
        "a container without swap is nearly full, and the pressure is that of a large machine",
        lambda m, n: {"available": 0.3 * GIB if 5 <= m < 15 else 2 * GIB, "swap_total": 0, "host_limit": 16 * GIB},
        (8, 14),
        (5, 22),
    ),
    Scenario(
        "HostMemoryPressure",
        "a container may swap as much again",
        lambda m, n: {"available": 0.3 * GIB, "swap": GIB, "swap_total": 16 * GIB, "host_limit": 16 * GIB},
        quiet=(30,),
    ),
    Scenario(
        "HostMemoryPressure",
        "a machine without swap and limit, whose cache counts as used",
        lambda m, n: {"available": 0.3 * GIB, "swap_total": 0},
        quiet=(30,),
    ),
    Scenario(
        "HostMemoryPressure",
        "old swap, a warning level, a full cache",
        lambda m, n: {"full": 0.05, "level": 2, "swap": 6 * GIB, "available": 2 * GIB},
        quiet=(30,),
    ),
    Scenario(
        "CheckpointsPaused",
        "no room for an hour",
        lambda m, n: {"paused": float(5 <= m < 65), "saved": n - (m - 4) * MINUTE if 5 <= m < 65 else n - 60},
        (8, 60),
        (3, 68),
    ),
    Scenario(
        "CheckpointsPaused", "it ended meanwhile", lambda m, n: {"paused": 1.0} if m < 9 else _down(m, 9), (7,), (13,)
    ),
    Scenario("CheckpointsPaused", "one save that failed", lambda m, n: {"paused": float(m == 5)}, quiet=(4, 7, 20)),
    Scenario(
        "DiskLow", "nearly full, then cleared", lambda m, n: {"free": (3 if 5 <= m < 15 else 20) * GIB}, (8,), (18,)
    ),
    Scenario("DiskLow", "a large disk", lambda m, n: {"free": 40 * GIB, "disk": 4000 * GIB}, quiet=(9,)),
    Scenario("DiskLow", "a small disk", lambda m, n: {"free": 1.5 * GIB, "disk": 8 * GIB}, quiet=(9,)),
    Scenario("DiskLow", "a full small disk", lambda m, n: {"free": 0.9 * GIB, "disk": 8 * GIB}, (9,)),
    Scenario("HostDown", "gone, then back", lambda m, n: None if 5 <= m < 15 else {}, (7, 14), (4, 5, 17)),
    Scenario("HostDown", "one scrape fails", lambda m, n: None if m == 5 else {}, quiet=(5, 6, 9)),
    Scenario(
        "ClockSkew",
        "an hour off, then set right",
        lambda m, n: {"clock_lead": -3600 if 5 <= m < 15 else 0},
        (11, 15),
        (5, 9, 21),
    ),
    Scenario("ClockSkew", "a little off", lambda m, n: {"clock_lead": 20}, quiet=(30,)),
    Scenario(
        "RewardStagnant",
        "the credit stops for hours, then comes back",
        lambda m, n: _stagnant(m, n, begin=400, end=800),
        (790,),
        (390, 430, 810),
    ),
    Scenario(
        "RewardStagnant",
        "learns that credit comes often",
        lambda m, n: _stagnant(m, n, begin=120, end=800),
        (190,),
        (150,),
    ),
    Scenario("RewardStagnant", "credit every three hours", _late_credit, quiet=tuple(range(0, 1500, 30))),
    Scenario(
        "RewardStagnant",
        "a wait without steps",
        lambda m, n: {
            **_stagnant(m, n, begin=20),
            **(_paused(m, n, begin=20, end=900, state="waiting", budget=1e9)),
            **({"steps": 9120} if m >= 20 else {}),
        },
        quiet=(200, 390, 450, 890),
    ),
    Scenario(
        "RewardStagnant",
        "the board cannot be read",
        lambda m, n: {**_stagnant(m, n, begin=20, end=700), "source_up": int(not 20 <= m < 700)},
        quiet=(100, 400, 699, 720),
    ),
    Scenario(
        "StepRateDegraded",
        "three times as slow, then as before",
        lambda m, n: _degraded(m, n, begin=300, end=420, factor=3),
        (380, 419),
        (290, 330, 480),
    ),
    Scenario(
        "StepRateDegraded",
        "a little slower",
        lambda m, n: _degraded(m, n, begin=300, end=900, factor=1.5),
        quiet=(800,),
    ),
    Scenario(
        "StepRateDegraded",
        "long waits between steps",
        lambda m, n: {"step_count": (s := 6 * (m if m < 300 else 300 + (m - 300) / 5)), "step_seconds": 10 * s},
        quiet=(290, 400, 600),
    ),
    Scenario("NonFinite", "no finite loss, until a restart", lambda m, n: _nan(m, 30, 50), (35, 49), (29, 115)),
    Scenario("NonFinite", "one overflow an hour", lambda m, n: {"nonfinite": m // 60}, quiet=(61, 300)),
    Scenario(
        "NonFinite",
        "a restart sets the counter back",
        lambda m, n: {"nonfinite": 2} if m < 30 else {"nonfinite": 0, **_restarted(m, n, at=30)},
        quiet=(29, 31, 90),
    ),
    *LEARNING_CASES,
    Scenario(
        "CrashLoop",
        "a crash every five minutes, then it holds",
        lambda m, n: _restarted(m, n, at=10, every=5) if m < 60 else _restarted(m, n, at=60),
        (45, 59, 80),
        (20, 95),
    ),
    Scenario(
        "CrashLoop", "three restarts by hand", lambda m, n: _restarted(m, n, at=10, every=60), quiet=(15, 80, 150)
    ),
    Scenario(
        "SwarmIsolated",
        "connected to no one, then again",
        lambda m, n: {"connected": int(not 5 <= m < 40)},
        (22, 39),
        (15, 43),
    ),
    Scenario("SwarmIsolated", "the only peer", lambda m, n: {"connected": 0, "ranked": 1}, quiet=(60,)),
    Scenario("SwarmIsolated", "nothing is taken, then again", _unpublished, (52, 79), (30, 83)),
    Scenario("SwarmIsolated", "slow steps", lambda m, n: {"last_step": n - 1200, "published": n - 1195}, quiet=(60,)),
    Scenario(
        "LeaderOverruled",
        "its word is not taken, then again",
        lambda m, n: {"overruled": int(5 <= m < 40)},
        (9, 39),
        (6, 43),
    ),
    Scenario("LeaderOverruled", "a follower", lambda m, n: {}, quiet=(60,)),
    Scenario("LeaderOverruled", "the leaders change", lambda m, n: {"overruled": int(m == 20)}, quiet=(20, 60)),
    Scenario(
        "RewardRefused",
        "refused, then taken",
        lambda m, n: {"refused": int(5 <= m < 40)},
        (12, 39),
        (8, 43),
    ),
    Scenario("RewardRefused", "refused once", lambda m, n: {"refused": int(m == 20)}, quiet=(20, 60)),
    Scenario(
        "SourceDown",
        "the leaderboard is down, then up",
        lambda m, n: {"source_up": int(not 5 <= m < 40)},
        (22, 39),
        (15, 43),
    ),
    Scenario("SourceDown", "a collector fails", lambda m, n: {"collector": int(m < 5)}, (22,), (15,)),
    Scenario(
        "SourceDown",
        "the trainer is another user's, and hidden",
        lambda m, n: {"up": None, "started": None, "cpu": None, "footprint": None, "collector": int(m < 5)},
        (22,),
        (15,),
    ),
    Scenario(
        "SourceDown",
        "the first start takes long",
        lambda m, n: {**_restarted(m, n, at=0, takes=50), "collector": int(m >= 50)},
        quiet=(30, 49),
    ),
    *SWARM_CASES,
    Scenario("Watchdog", "always", lambda m, n: {}, (0, 5), settings={"enabled": True}),
    Scenario("PeerRestarted", "a restart that helps", _phase("restarting", 5, 8), (5, 7), (4, 9)),
    Scenario("PeerRestarted", "no restart", lambda m, n: {}, quiet=(1, 9)),
    Scenario("PeerRestarted", "a peer that is given up", _phase("useless", 5, 8), quiet=(5, 7)),
    Scenario("RestartUseless", "a peer that is given up, and its end", _phase("useless", 5, 8), (5, 7), (4, 9)),
    Scenario("RestartUseless", "a restart under way", _phase("restarting", 5, 8), quiet=(5, 7)),
)
