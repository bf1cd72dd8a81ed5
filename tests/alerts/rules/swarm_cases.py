"""Cases of the rules on rewards that a contract credits, and on the contract's round."""

from tests.alerts.rules.scenarios import MINUTE, Changes, Scenario

HOUR = 60


def _on_chain(minute: float, now: float, **changes: float | None) -> Changes:
    """A peer of a swarm with a chain and no board; a round ends every ten minutes, and counts every three hours."""
    rest = minute % 10
    return {
        "source_up": None,
        "rank": None,
        "ranked": None,
        "cumulative": None,
        "lag": None,
        "published": None,
        "chain_up": 1,
        "chain_lag": 0,
        "submit_period": 3 * 3600.0,
        "round_change": now - rest * MINUTE,
        "voted": now - (minute % (3 * HOUR)) * MINUTE,
        "credited": now - (minute % (3 * HOUR)) * MINUTE,
        **changes,
    }


def _stuck(minute: float, now: float, *, until: float = 900, **changes: float | None) -> Changes:
    """The contract credits nothing from the start on, up to a minute."""
    credited = now - minute * MINUTE if minute < until else now - (minute - until) * MINUTE
    return _on_chain(minute, now, credited=credited, **changes)


def _restarted_every(minutes: int, minute: float, now: float, **changes: float | None) -> Changes:
    return _on_chain(minute, now, **{"started": now - (minute % minutes) * MINUTE, **changes})


def _told(minute: float, now: float, *, name: str, begin: float, until: float, every: float) -> Changes:
    """The log tells a problem at the begin, and again and again until a minute; an hour later it is forgotten."""
    if not begin <= minute < until + HOUR:
        return {}
    last = min(minute, until) - (min(minute, until) - begin) % every
    return {f"{name}_since": now - (minute - begin) * MINUTE, f"{name}_last": now - (minute - last) * MINUTE}


SWARM_CASES = (
    Scenario(
        "KnownProblem",
        "each round's submission fails, then the log is quiet",
        lambda m, n: _told(m, n, name="refused", begin=10, until=200, every=12),
        (85, 255),
        (69, 265),
    ),
    Scenario(
        "KnownProblem",
        "one submission failed",
        lambda m, n: _told(m, n, name="refused", begin=10, until=10, every=1),
        quiet=(30, 69, 120),
    ),
    Scenario(
        "KnownProblem",
        "a problem that progress ends is told by the alerts on progress",
        lambda m, n: _told(m, n, name="ipc", begin=10, until=200, every=1),
        quiet=(90, 180),
    ),
    Scenario(
        "KnownProblem",
        "the trainer has ended",
        lambda m, n: {**_told(m, n, name="refused", begin=10, until=200, every=12), "up": 0},
        quiet=(90, 180),
    ),
    Scenario(
        "RewardNotCounting",
        "participation grows, the reward is frozen, then credited",
        lambda m, n: _stuck(m, n, until=600, round_change=None),
        (385, 599),
        (359, 603, 700),
    ),
    Scenario(
        "RewardNotCounting",
        "rounds advance, participation is not told",
        lambda m, n: _stuck(m, n, voted=None),
        (385, 700),
        (350,),
    ),
    Scenario("RewardNotCounting", "credited every three hours", _on_chain, quiet=(200, 400, 900)),
    Scenario(
        "RewardNotCounting",
        "neither rounds nor votes",
        lambda m, n: _stuck(m, n, voted=n - m * MINUTE, round_change=None),
        quiet=(400, 800),
    ),
    Scenario(
        "RewardNotCounting",
        "one of two contracts is frozen although the peer takes part in it",
        lambda m, n: _on_chain(m, n, credited_prg=n - m * MINUTE, voted_prg=n - (m % 20) * MINUTE),
        (390,),
        (350,),
    ),
    Scenario(
        "RewardNotCounting",
        "an old contract on which the peer takes no part any more",
        lambda m, n: _on_chain(m, n, credited_prg=n - m * MINUTE, voted_prg=n - m * MINUTE),
        quiet=(390, 800),
    ),
    Scenario(
        "RewardNotCounting",
        "restarts discard what was not submitted",
        lambda m, n: _stuck(m, n, started=n - (m % 300) * MINUTE),
        quiet=(400, 700, 899),
    ),
    Scenario("RewardNotCounting", "the chain cannot be read", lambda m, n: _stuck(m, n, chain_up=0), quiet=(400, 800)),
    Scenario(
        "NeverSubmits",
        "a restart every two hours, then it holds",
        lambda m, n: _restarted_every(120, m, n, credited=None, started=n - (m % 120 if m < 720 else m - 720) * MINUTE),
        (365, 599, 890),
        (300, 359, 905),
    ),
    Scenario("NeverSubmits", "a restart every four hours", lambda m, n: _restarted_every(240, m, n), quiet=(500, 970)),
    Scenario(
        "NeverSubmits",
        "restarts right after a submission",
        lambda m, n: _restarted_every(120, m, n, credited=n - (m % 130) * MINUTE),
        quiet=(400, 700),
    ),
    Scenario(
        "NeverSubmits",
        "rewards that are submitted each round",
        lambda m, n: _restarted_every(30, m, n, submit_period=None),
        quiet=(100, 400),
    ),
    Scenario(
        "RoundLag",
        "behind the contract's round, then caught up",
        lambda m, n: _on_chain(m, n, chain_lag=4 if 5 <= m < 60 else 0),
        (27, 59),
        (20, 63),
    ),
    Scenario(
        "RoundLag",
        "a round that was read before the chain went",
        lambda m, n: _on_chain(m, n, chain_lag=4 if m >= 5 else 0, chain_up=int(m < 8)),
        quiet=(30, 90),
    ),
)
