"""For each rule: when it must fire, when it must not, and when it is over."""

from tests.alerts.rules.accelerator_cases import ACCELERATOR_CASES
from tests.alerts.rules.learning_cases import LEARNING_CASES
from tests.alerts.rules.machine_cases import MACHINE_CASES
from tests.alerts.rules.peer_cases import PEER_CASES
from tests.alerts.rules.scenarios import MINUTE, Changes, Scenario, paused, restarted
from tests.alerts.rules.swarm_cases import SWARM_CASES


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


CASES = (
    *ACCELERATOR_CASES,
    *LEARNING_CASES,
    *MACHINE_CASES,
    *PEER_CASES,
    *SWARM_CASES,
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
            **(paused(m, n, begin=20, end=900, state="waiting", budget=1e9)),
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
        lambda m, n: {"nonfinite": 2} if m < 30 else {"nonfinite": 0, **restarted(m, n, at=30)},
        quiet=(29, 31, 90),
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
        lambda m, n: {**restarted(m, n, at=0, takes=50), "collector": int(m >= 50)},
        quiet=(30, 49),
    ),
    Scenario("Watchdog", "always", lambda m, n: {}, (0, 5), settings={"enabled": True}),
)
