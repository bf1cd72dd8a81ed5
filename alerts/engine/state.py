"""The state machine of one alert: pending, firing, resolved. Pure; durations come in, no clock is read."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from alerts.rules import Severity, Verdict

_RANKS: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}
Kind = Literal["firing", "resolved", "reminder"]


class Moment(NamedTuple):
    """When an evaluation happens: the wall clock, and the steady seconds since the previous evaluation.

    Durations add up `elapsed_seconds`, so that neither a clock that is set nor a sleeping host makes them longer.
    """

    now: float
    elapsed_seconds: float


class Timing(NamedTuple):
    """How long a condition must hold and must be gone, and how often a firing alert is repeated (0: never)."""

    for_seconds: float
    recover_seconds: float
    reminder_seconds: float
    severity: Severity


@dataclass(frozen=True)
class AlertState:
    """A pending or firing alert. `cleared_seconds` is None while the condition holds.

    `untold_seconds` is the time since the last firing or reminder event; the database stores these names.
    """

    phase: Literal["pending", "firing"]
    severity: Severity
    since: float
    summary: str
    held_seconds: float = 0.0
    cleared_seconds: float | None = None
    untold_seconds: float = 0.0
    fired_seconds: float = 0.0


def step(
    state: AlertState | None, verdict: Verdict, moment: Moment, timing: Timing
) -> tuple[AlertState | None, Kind | None]:
    """The next state (None: inactive) and the kind of event, if any."""
    if verdict.condition == "active":
        return _hold(state, verdict, moment, timing)
    if state is None:
        return None, None
    if verdict.condition == "inactive":
        return _clear(state, moment, timing)
    return _keep(state, moment, timing)


def _hold(
    state: AlertState | None, verdict: Verdict, moment: Moment, timing: Timing
) -> tuple[AlertState | None, Kind | None]:
    severity = verdict.severity or timing.severity
    is_worse = state is not None and _RANKS[severity] > _RANKS[state.severity]
    if state is None:
        since = moment.now if verdict.since is None else min(verdict.since, moment.now)
        state = AlertState("pending", severity, since, verdict.summary)
    else:
        held = state.held_seconds + moment.elapsed_seconds
        state = replace(state, severity=severity, summary=verdict.summary, held_seconds=held, cleared_seconds=None)
    if state.phase == "pending":
        if state.held_seconds >= timing.for_seconds:
            return replace(state, phase="firing"), "firing"
        return state, None
    state, kind = _keep(state, moment, timing)
    # Who was told of a warning is told at once that it has become critical; a route of criticals hears of it as new.
    return (replace(state, untold_seconds=0.0), "reminder") if is_worse else (state, kind)


def _clear(state: AlertState, moment: Moment, timing: Timing) -> tuple[AlertState | None, Kind | None]:
    if state.phase == "pending":
        return None, None
    cleared = 0.0 if state.cleared_seconds is None else state.cleared_seconds + moment.elapsed_seconds
    if cleared >= timing.recover_seconds:
        return None, "resolved"
    return replace(state, cleared_seconds=cleared), None


def _keep(state: AlertState, moment: Moment, timing: Timing) -> tuple[AlertState, Kind | None]:
    """The state continues; a firing alert is repeated when its reminder is due."""
    if state.phase == "pending":
        return state, None
    untold = state.untold_seconds + moment.elapsed_seconds
    state = replace(state, fired_seconds=state.fired_seconds + moment.elapsed_seconds)
    if 0 < timing.reminder_seconds <= untold and state.cleared_seconds is None:
        return replace(state, untold_seconds=0.0), "reminder"
    return replace(state, untold_seconds=untold), None
