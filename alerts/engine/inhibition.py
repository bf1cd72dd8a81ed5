"""Which alerts are inhibited: consequences of another firing alert. Pure."""

from collections.abc import Collection, Mapping

from alerts.engine.evaluate import Key
from alerts.engine.state import AlertState


def find_inhibited(
    states: Mapping[Key, AlertState], table: Mapping[str, tuple[str, ...]], host_rules: Collection[str]
) -> dict[Key, Key]:
    """Each inhibited alert with its cause.

    `table` holds which rules a rule inhibits; an alert of one of `host_rules` inhibits the alerts of every peer.
    """
    inhibited: dict[Key, Key] = {}
    for cause, state in sorted(states.items()):
        inhibits = table.get(cause.rule, ())
        if state.phase != "firing" or not inhibits:
            continue
        for key in states if cause.rule in host_rules else (Key(rule, cause.peer) for rule in inhibits):
            if key in states and key.rule in inhibits and key != cause:
                inhibited.setdefault(key, cause)
    return inhibited
