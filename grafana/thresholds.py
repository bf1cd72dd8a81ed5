"""Where colours change: at the rules' default thresholds, so that red is where an alert fires."""

from typing import Any

from alerts.rules import discover
from grafana.panels import Steps


def of_rule(rule: str, setting: str) -> Any:
    """The default of a rule's setting. Raises KeyError or AttributeError if there is no such rule or setting."""
    return getattr(discover()[rule].settings(), setting)


def bad_from(value: float, warning: float | None = None) -> Steps:
    """Red from `value` on, yellow from `warning` on."""
    between = ((warning, "yellow"),) if warning is not None else ()
    return ((None, "green"), *between, (value, "red"))


def bad_below(value: float) -> Steps:
    """Red below `value`."""
    return ((None, "red"), (value, "green"))


MEMORY_SHARE = bad_from(of_rule("MemoryExceeded", "fraction"), 0.8)
ROUND_LAG = bad_from(of_rule("RoundLag", "rounds"), of_rule("RoundLag", "rounds_waiting"))
