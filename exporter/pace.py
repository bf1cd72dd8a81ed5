"""How long a peer may be silent before it counts as stalled, judged by its own recent steps."""

from collections import deque
from heapq import nlargest
from statistics import median

# The usual step follows a drift within half of this window.
MEDIAN_STEPS = 64
MEDIAN_FACTOR = 4.0

# Rare long steps are remembered for longer: with one step in twenty long, a window of 64 often holds too few of them.
# How far the second longest of so many steps lies above the usual one tells how uneven they are; log-normal steps
# pass this power of it once in some hundred thousand steps, whatever their spread. Steps of two kinds need less.
TAIL_STEPS = 512
TAIL_POWER = 1.7
TAIL_FACTOR = 3.0

# Fewer steps do not show how uneven a peer is.
WARM_UP_STEPS = 16
WARM_UP_FACTOR = 10.0


class Pace:
    """A sliding estimate of a peer's step time, and the silence that each phase allows.

    In a phase that steps, the allowance is a multiple of the median step, larger the further the long steps lie above
    it, between floor and ceiling. A single hang changes nothing. A step that took longer than its allowance was a
    stall and counts as no more than the allowance, so several hangs do not excuse the next one, while a real
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
        if len(self._recent) < WARM_UP_STEPS or usual <= 0.0:
            estimate = WARM_UP_FACTOR * max(self._recent)
        else:
            reach = nlargest(2, self._long)[-1] / usual
            estimate = usual * max(MEDIAN_FACTOR, min(reach**TAIL_POWER, TAIL_FACTOR * reach))
        return max(2.0 * usual, min(max(self._floor, estimate), self._ceiling))
