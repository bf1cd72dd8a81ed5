"""Rules on a gauge in which a trainer says of itself that something is wrong, 1 or 0. Pure."""

from alerts.i18n.translatable import say
from alerts.rules import UNKNOWN, Verdict, View, active, inactive


def judge_flag(view: View, metric: str, *, raised: str, lowered: str) -> Verdict:
    """Whether a running trainer's gauge says so; the sentences are those of the two states."""
    page = view.page
    if page is None or page.is_up() is None:
        return UNKNOWN
    if not page.is_up():
        return inactive(say("Trainer not running."))
    flag = page.value(metric)
    if flag is None:
        return UNKNOWN
    return active(raised) if flag else inactive(lowered)


def promql_of_flag(metric: str) -> str:
    """The same for Prometheus."""
    return f"{metric} == 1 and on (instance) trainer_up == 1"
