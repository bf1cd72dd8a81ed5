"""Which alerts are suppressed: inhibited by another one, silenced, or acknowledged. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alerts.engine.evaluate import AlertStates, Key
from alerts.rules import is_problem


@dataclass(frozen=True)
class Suppression:
    """The suppressed alerts; the inhibited ones with their causes. A silenced alert still inhibits others."""

    inhibited: Mapping[Key, Key] = field(default_factory=dict)
    silenced: frozenset[Key] = frozenset()
    acknowledged: frozenset[Key] = frozenset()

    @property
    def keys(self) -> frozenset[Key]:
        return self.silenced | self.acknowledged | self.inhibited.keys()


def describe_alerts(alert_states: AlertStates, suppression: Suppression) -> list[dict[str, Any]]:
    """The pending and firing problems as the API has them, the oldest first, with what suppresses each."""
    problems = [(key, state) for key, state in alert_states.states.items() if is_problem(key.rule)]
    described = []
    for key, state in sorted(problems, key=lambda one: (one[1].since, one[0])):
        cause = suppression.inhibited.get(key)
        described.append(
            {
                "rule": key.rule,
                "peer": key.peer,
                "severity": state.severity,
                "state": state.phase,
                "since": state.since,
                "summary": state.summary,
                "silenced": key in suppression.silenced,
                "acknowledged": key in suppression.acknowledged,
                "inhibited_by": f"{cause.rule}: {cause.peer}" if cause else None,
            }
        )
    return described
