"""The record of one peer's restarts: the policy writes it, rules and messages read it."""

from dataclasses import dataclass
from typing import Literal

# On the alert loop's page and in what the rules read: the phase of each peer's record.
PHASE_METRIC = "alerts_restart_phase"

Phase = Literal["idle", "waiting", "restarting", "helped", "useless"]
# The outcome of a restart, or why there was none.
RestartOutcome = Literal["", "trains", "same reason", "daily limit", "still fires", "does not train"]


@dataclass(frozen=True)
class Record:
    """One peer's restarts. `past` holds the times of those of the last day, ascending.

    `outcome_seconds` is the time from the restart to its outcome.
    """

    phase: Phase = "idle"
    since: float = 0.0
    rule: str = ""
    summary: str = ""
    past: tuple[float, ...] = ()
    started: float | None = None
    memory_bytes: float | None = None
    waited_seconds: float = 0.0
    outcome: RestartOutcome = ""
    outcome_seconds: float = 0.0
    memory_after: float | None = None
