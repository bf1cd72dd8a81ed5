"""What is remembered of one peer's restarts: the policy writes it, rules and messages read it."""

from dataclasses import dataclass
from typing import Literal

# On the alert loop's page and in what the rules read: the phase of each peer's record.
PHASE_METRIC = "alerts_restart_phase"

Phase = Literal["idle", "waiting", "restarting", "helped", "useless"]
# How a restart went, or why there is none.
RestartOutcome = Literal["", "trains", "same reason", "daily limit", "still fires", "does not train"]


@dataclass(frozen=True)
class Record:
    """What is remembered of one peer's restarts. `past` are the times of those of the last day, ascending.

    `outcome_seconds` is the time since the restart that the outcome speaks of.
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
