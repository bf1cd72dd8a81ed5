"""A peer's state as one number: 0 down, 1 to 6 the trainer's phases in the order of the metric table, 7 running.

The states are those of `alerts.engine.peer_state`. There is no sample, and so a gap, where the sidecar does not answer
or could not check the process.
"""

from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

from exporter.metrics import STATES
from grafana.series import of_peers

_COLOURS = {
    "down": "red",
    "starting": "blue",
    "waiting": "yellow",
    "generating": "green",
    "training": "dark-green",
    "saving": "purple",
    "stopped": "orange",
    "running": "light-blue",
}
_NUMBERS = {name: number for number, name in enumerate(("down", *STATES, "running"))}

# `down` is the lowest number.
STATE_STEPS = tuple((number or None, _COLOURS[name]) for name, number in _NUMBERS.items())


def state() -> str:
    """One series per peer. A phase outlives its process: except for `stopped` it counts only while the process runs."""
    phase = " or ".join(f"{_NUMBERS[name]} * {of_peers('trainer_state', trainer_state=name)}" for name in STATES)
    stopped = f"{of_peers('trainer_state', trainer_state='stopped')} == 1"
    up = f"max by (fleet, peer) ({of_peers('trainer_up')})"
    return (
        f"{_NUMBERS['stopped']} * max by (fleet, peer) ({stopped}) and {up}"
        f" or max by (fleet, peer) ({phase}) * {up} > 0"
        f" or {_NUMBERS['running']} * {up}"
    )


def state_names() -> ValueMap:
    """The name and colour of each number."""
    return ValueMap(
        options={
            str(number): ValueMappingResult(text=name, color=_COLOURS[name], index=number)
            for name, number in _NUMBERS.items()
        }
    )
