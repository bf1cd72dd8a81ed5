"""Cases of the rules on a peer's process: that it runs, that it works, and that it is restarted."""

from collections.abc import Callable
from typing import Any

from tests.alerts.rules.scenarios import MINUTE, Changes, Scenario, down, paused, restarted


def _ended(minute: float, now: float, *, at: float, until: float = 1e9, **how: float) -> Changes:
    """A process that ended at a minute, and how."""
    return {**down(minute, at, until), **how} if at <= minute < until else {}


def _unread(minute: float, now: float, *, begin: float, end: float, cores: float) -> Changes:
    """A trainer whose log says nothing from one minute to another, while it keeps so many cores busy."""
    silent = min(max(0.0, minute - begin), end - begin)
    changes: dict[str, Any] = {"readers": 1, "log_up": 1, "cpu": 50 * (minute + 1440 - silent) + 60 * cores * silent}
    if begin <= minute < end:
        changes |= {"last_step": now - silent * MINUTE - 3, "phase_start": now - silent * MINUTE - 90}
    return changes


def _hung(minute: float, now: float) -> Changes:
    return paused(minute, now, begin=10, end=30, state="training", budget=60)


def _slow(minute: float, now: float, *, limit: float, **activity: float) -> Changes:
    """A silence of twenty minutes during which the sidecar tells a limit and an activity."""
    changes = paused(minute, now, begin=10, end=30, state="training", budget=300)
    return {**changes, "active_stall_after": limit, **activity} if changes else {}


def _phase(phase: str, begin: float, end: float) -> Callable[[float, float], Changes]:
    """The phase of the peer's restart, from one minute to another."""
    return lambda minute, _now: {phase: 1} if begin <= minute < end else {}


PEER_CASES = (
    Scenario("PeerDown", "the process is gone, then back", lambda m, n: down(m, 5, 15), (7, 14), (4, 17)),
    Scenario("PeerDown", "the sidecar is silent", lambda m, n: None if 5 <= m < 15 else {}, (8, 14), (5, 17)),
    Scenario("PeerDown", "one restart", lambda m, n: restarted(m, n, at=5, takes=3), quiet=(5, 6, 8, 9, 20)),
    Scenario(
        "PeerDown",
        "a start that takes too long",
        lambda m, n: {**restarted(m, n, at=5, takes=20), "stall_after": 600},
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
        lambda m, n: {**restarted(m, n, at=5, takes=20), "stall_after": 600, "readers": 1},
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
        lambda m, n: {**restarted(m, n, at=5, takes=60), "readers": 1, "log_up": 0},
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
            **paused(m, n, begin=10, end=35, state="waiting", budget=1800),
            **paused(m, n, begin=50, end=58, state="saving", budget=600),
        },
        quiet=(12, 34, 36, 57, 60),
    ),
    Scenario(
        "PeerStalled",
        "a start is PeerDown's",
        lambda m, n: {**restarted(m, n, at=5, takes=20), "stall_after": 600},
        quiet=(17, 24),
    ),
    Scenario(
        "PeerStalled",
        "a training that has ended in a process that lives on",
        lambda m, n: paused(m, n, begin=10, end=60, state="stopped", budget=60),
        quiet=(12, 34, 59),
    ),
    Scenario(
        "PeerStalled",
        "a training that hung, and was ended",
        lambda m, n: {**_hung(m, n), **paused(m, n, begin=20, end=60, state="stopped", budget=None)},
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
    Scenario("PeerStalled", "a peer that is down", lambda m, n: {**_hung(m, n), **down(m, 8)}, quiet=(12, 29)),
    Scenario(
        "CrashLoop",
        "a crash every five minutes, then it holds",
        lambda m, n: restarted(m, n, at=10, every=5) if m < 60 else restarted(m, n, at=60),
        (45, 59, 80),
        (20, 95),
    ),
    Scenario("CrashLoop", "three restarts by hand", lambda m, n: restarted(m, n, at=10, every=60), quiet=(15, 80, 150)),
    Scenario("PeerRestarted", "a restart that helps", _phase("restarting", 5, 8), (5, 7), (4, 9)),
    Scenario("PeerRestarted", "no restart", lambda m, n: {}, quiet=(1, 9)),
    Scenario("PeerRestarted", "a peer that is given up", _phase("useless", 5, 8), quiet=(5, 7)),
    Scenario("RestartUseless", "a peer that is given up, and its end", _phase("useless", 5, 8), (5, 7), (4, 9)),
    Scenario("RestartUseless", "a restart under way", _phase("restarting", 5, 8), quiet=(5, 7)),
)
