"""Cases of the rules on memory, disks and clocks: of a peer and of its machine."""

from tests.alerts.rules.scenarios import GIB, MINUTE, Changes, Scenario, down, restarted


def _growing(minute: float, now: float, *, hourly: float, until: float = 1e9) -> Changes:
    return {"footprint": (2 + hourly * min(minute, until) / 60) * GIB}


def _sawtooth(minute: float, now: float) -> Changes:
    return {"footprint": (2 + 1.5 * (minute % 45) / 45) * GIB}


MACHINE_CASES = (
    Scenario(
        "MemoryExceeded",
        "over its limit, then restarted",
        lambda m, n: {"footprint": 3.9 * GIB} if 5 <= m < 15 else {},
        (6, 14),
        (4, 17),
    ),
    Scenario("MemoryExceeded", "near its limit", lambda m, n: {"footprint": 3.7 * GIB}, quiet=(20,)),
    Scenario("MemoryForecast", "a leak", lambda m, n: _growing(m, n, hourly=0.3), (330,), (60, 100)),
    Scenario("MemoryForecast", "slow growth", lambda m, n: _growing(m, n, hourly=0.02), quiet=(120, 240, 400)),
    Scenario("MemoryForecast", "a sawtooth", _sawtooth, quiet=(130, 200, 260, 331, 400)),
    Scenario(
        "MemoryForecast",
        "a leak until a restart",
        lambda m, n: {"footprint": GIB, **restarted(m, n, at=340)} if m >= 340 else _growing(m, n, hourly=0.3),
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
        "CheckpointsPaused", "it ended meanwhile", lambda m, n: {"paused": 1.0} if m < 9 else down(m, 9), (7,), (13,)
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
)
