"""For each rule of learning: when it must fire, when it must not, and when it is over."""

from typing import Any

from tests.alerts.rules.scenarios import MINUTE, Changes, Scenario


def _bad_row(minute: float, begin: float, end: float) -> Changes:
    """Six steps a minute that are not finite, from one minute to another; each other step is."""
    return {
        "nonfinite": 6 * max(0.0, min(minute, end) - begin),
        "in_a_row": 6 * (minute - begin) if begin <= minute < end else 0,
    }


def _alike(minute: float, now: float, *, begin: float, end: float, rate: float = 6, **others: Any) -> Changes:
    """Groups without spread from one minute to another, so many logged steps a minute."""
    if not begin <= minute < end:
        return {name: value for name, value in others.items() if name == "kl"}
    since = now - (minute - begin) * MINUTE
    return {
        "no_signal": 1 + rate * (minute - begin),
        "no_signal_since": since,
        "gradient": 0.0,
        "reward_std": 0,
        **others,
    }


def _cut(minute: float, now: float, *, begin: float, end: float, **others: Any) -> Changes:
    """No completion ends by itself from one minute to another, and the reward is flat."""
    if not begin <= minute < end:
        return {}
    since = now - (minute - begin) * MINUTE
    return {"cut": 1 + 6 * (minute - begin), "cut_since": since, "clipped": 1.0, "reward": 0.1, **others}


def _mismatch(minute: float, now: float, *, begin: float, hourly: float, until: float = 1e9) -> Changes:
    """The difference multiplies by so much in an hour, and is as before in the end."""
    hours = max(0.0, minute - begin) / 60
    noise = 1 + 0.2 * (minute % 7) / 7
    return {"mismatch": 0.002 * noise * (hourly**hours if minute < until else 1.0)}


LEARNING_CASES = (
    Scenario(
        "NonFinite",
        "three in a row among thousands, then finite ones",
        lambda m, n: {"in_a_row": 3 if 30 <= m < 40 else 0, "nonfinite": 3 if m >= 30 else 0, "steps": 2000 * m},
        (31, 39),
        (29, 43),
    ),
    Scenario("NonFinite", "two in a row", lambda m, n: {"in_a_row": 2 if m >= 30 else 0}, quiet=(31, 60)),
    Scenario("NonFinite", "all in a row", lambda m, n: _bad_row(m, 30, 50), (31, 49), (29, 115)),
    Scenario(
        "NoLearningSignal",
        "all alike for half an hour, then not",
        lambda m, n: _alike(m, n, begin=10, end=60),
        (42, 59),
        (38, 73),
    ),
    Scenario(
        "NoLearningSignal",
        "few steps in half an hour",
        lambda m, n: _alike(m, n, begin=10, end=100, rate=0.4),
        (60, 99),
        (45, 113),
    ),
    Scenario(
        "NoLearningSignal", "ever new pauses", lambda m, n: _alike(m % 29, n, begin=1, end=28), quiet=(28, 60, 99)
    ),
    Scenario(
        "NoLearningSignal",
        "a KL term pulls too",
        lambda m, n: _alike(m, n, begin=10, end=140, kl=0.1),
        (102, 139),
        (60, 96, 153),
    ),
    Scenario(
        "NoLearningSignal",
        "rounding leaves a gradient",
        lambda m, n: _alike(m, n, begin=10, end=140, gradient=1e-4),
        (102, 139),
        (60, 96, 153),
    ),
    Scenario(
        "CompletionsCut",
        "all are cut off, then not",
        lambda m, n: _cut(m, n, begin=10, end=40),
        (19, 39),
        (12, 17, 53),
    ),
    Scenario("CompletionsCut", "most are cut off", lambda m, n: {"clipped": 0.99}, quiet=(20, 60)),
    Scenario(
        "CompletionsCut",
        "all are cut off, at the best reward",
        lambda m, n: _cut(m, n, begin=10, end=40, reward=0.6),
        quiet=(20, 39),
    ),
    Scenario(
        "PolicyMismatch",
        "it grows for hours, then the weights are sent again",
        lambda m, n: _mismatch(m, n, begin=200, hourly=10, until=300),
        (280, 299),
        (190, 240, 330),
    ),
    Scenario(
        "PolicyMismatch", "it grows with the policy", lambda m, n: _mismatch(m, n, begin=60, hourly=1.5), quiet=(500,)
    ),
    Scenario(
        "PolicyMismatch",
        "one spike",
        lambda m, n: {"mismatch": 0.2 if 200 <= m < 206 else 0.002},
        quiet=(203, 210, 220),
    ),
    Scenario(
        "LearningDrift",
        "entropy collapses, then comes back",
        lambda m, n: {"entropy": 0.05 if 400 <= m < 500 else 0.5},
        (440, 499),
        (390, 405, 590),
        settings={"enabled": True},
    ),
    Scenario(
        "LearningDrift",
        "the reward falls",
        lambda m, n: {"reward": 0.15 if m >= 400 else 0.55},
        (450,),
        (390,),
        settings={"enabled": True},
    ),
    Scenario(
        "LearningDrift",
        "completions grow as the model learns, slowly",
        lambda m, n: {"length": 200 * 1.1 ** (m / 60), "reward": 0.1 + m / 2000},
        quiet=(400, 900),
        settings={"enabled": True},
    ),
)
