"""A peer's state as one number: 0 down, 1 to 6 the trainer's own states in the order of the metric table."""

from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

from exporter.metrics import STATES
from grafana.series import of_peers

_COLOURS = {
    "starting": "blue",
    "waiting": "yellow",
    "generating": "green",
    "training": "dark-green",
    "saving": "purple",
    "stopped": "orange",
}

# Down, then the states in their order.
STATE_STEPS = ((None, "red"), *((number, _COLOURS[name]) for number, name in enumerate(STATES, start=1)))


def state() -> str:
    """One series for each peer. The trainer's page outlives it, so that only a running one's state counts."""
    numbered = " or ".join(
        f"{number} * {of_peers('trainer_state', trainer_state=name)}" for number, name in enumerate(STATES, start=1)
    )
    up = f"max by (fleet, peer) ({of_peers('trainer_up')})"
    return f"max by (fleet, peer) ({numbered}) * {up} or {up}"


def state_names() -> ValueMap:
    """How each number is shown."""
    shown = {"0": ValueMappingResult(text="down", color="red", index=0)}
    for number, name in enumerate(STATES, start=1):
        shown[str(number)] = ValueMappingResult(text=name, color=_COLOURS[name], index=number)
    return ValueMap(options=shown)
