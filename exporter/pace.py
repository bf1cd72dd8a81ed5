"""How long a peer may be silent before it counts as stalled, judged by its own recent steps."""

from collections import deque
from statistics import median

# The usual step follows a drift within half of this window.
MEDIAN_STEPS = 64
MEDIAN_FACTOR = 5.0

# Rare long steps are remembered for longer: with one step in twenty long, a window of 64 often holds too few of them.
TAIL_STEPS = 256
TAIL_FACTOR = 2.0

WARM_UP_STEPS = 5
WARM_UP_FACTOR = 10.0


class Pace:
    """A sliding estimate of a peer's step time, and the silence that each phase allows.

    In a phase that steps, the allowance is the larger of a multiple of the median step and a multiple of the second
    longest step, between floor and ceiling: a single hang changes neither. A step that took longer than its allowance
    was a stall and counts as no more than the allowance, so several hangs do not excuse the next one, while a real
    slow-down is learnt within a few steps. No ceiling makes a peer stalled at twice its usual step.
    """

    def __init__(
        self,
        *,
        floor_seconds: float = 30.0,
        ceiling_seconds: float = 3600.0,
        starting_seconds: float = 600.0,
        waiting_seconds: float = 1800.0,
        saving_seconds: float = 600.0,
    ) -> None:
        self._floor = floor_seconds
        self._ceiling = ceiling_seconds
        self._budgets = {"starting": starting_seconds, "waiting": waiting_seconds, "saving": saving_seconds}
        self._recent: deque[float] = deque(maxlen=MEDIAN_STEPS)
        self._long: deque[float] = deque(maxlen=TAIL_STEPS)
        # Nothing is known of a peer's first step, which may compile, download or take twelve minutes.
        self._allowance = ceiling_seconds

    def add(self, step_seconds: float) -> None:
        """Takes the duration of one finished step."""
        step_seconds = min(step_seconds, self._allowance)
        self._recent.append(step_seconds)
        self._long.append(step_seconds)
        self._allowance = self._estimate()

    def stall_after(self, phase: str) -> float:
        """Seconds of silence, since the later of last step and phase start, that mean a stall in this phase."""
        return self._budgets.get(phase, self._allowance)

    def _estimate(self) -> float:
        usual = median(self._recent)
        if len(self._recent) < WARM_UP_STEPS:
            estimate = WARM_UP_FACTOR * max(self._recent)
        else:
            estimate = max(MEDIAN_FACTOR * usual, TAIL_FACTOR * sorted(self._long)[-2])
        return max(2.0 * usual, min(max(self._floor, estimate), self._ceiling))
