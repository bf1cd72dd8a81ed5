"""How long a peer may be silent before it counts as stalled, judged by its own recent steps."""

from collections import deque
from statistics import median

WINDOW_STEPS = 64
WARM_UP_STEPS = 5


class Pace:
    """A sliding estimate of a peer's step time, and the silence that each phase allows.

    In a phase that steps, the allowance is the larger of a multiple of the median step and a multiple of the
    longest steps of the window. A step longer than its allowance was a stall and counts as no more than the
    allowance, so that one hang does not excuse the next; a real slow-down still raises the median within half a window.
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
        self._steps: deque[float] = deque(maxlen=WINDOW_STEPS)
        self._step_budget = ceiling_seconds

    def add(self, step_seconds: float) -> None:
        """Takes the duration of one finished step."""
        self._steps.append(min(step_seconds, self._step_budget))
        self._step_budget = self._estimate()

    def stall_after(self, phase: str) -> float:
        """Seconds of silence, since the later of last step and phase start, that mean a stall in this phase."""
        return self._budgets.get(phase, self._step_budget)

    def _estimate(self) -> float:
        if len(self._steps) < WARM_UP_STEPS:
            return self._ceiling
        middle = median(self._steps)
        return min(max(self._floor, 5.0 * middle), max(self._ceiling, 2.0 * middle))
