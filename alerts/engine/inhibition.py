"""Which alerts are inhibited: consequences of another firing alert. Pure."""

from collections.abc import Callable, Collection, Mapping

from alerts.engine.evaluate import Key
from alerts.engine.state import AlertState


def find_inhibited(
    states: Mapping[Key, AlertState],
    table: Mapping[str, tuple[str, ...]],
    host_rules: Collection[str],
    is_on: Callable[[str, str], bool] = lambda _peer, _host: True,
) -> dict[Key, Key]:
    """Each inhibited alert with its cause.

    `table` holds which rules a rule inhibits; an alert of one of `host_rules` inhibits the alerts of every peer that
    `is_on` the host, and of the host itself.
    """
    inhibited: dict[Key, Key] = {}
    for cause, state in sorted(states.items()):
        inhibits = table.get(cause.rule, ())
        if state.phase != "firing" or not inhibits:
            continue
        for key in states if cause.rule in host_rules else (Key(rule, cause.peer) for rule in inhibits):
            if key not in states or key.rule not in inhibits or key == cause:
                continue
            if cause.rule in host_rules and key.peer != cause.peer and not is_on(key.peer, cause.peer):
                continue
            inhibited.setdefault(key, cause)
    return inhibited
