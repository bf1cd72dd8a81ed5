"""When to check a peer before the next round: the instant at which time alone changes a verdict."""

from collections import Counter
from collections.abc import Iterable, Mapping

from alerts.engine.state import AlertState, Timing
from alerts.rules import Verdict

# The sidecar reads its trainer again at the same instant, and peers that are due together are checked together.
CHECK_AFTER_SECONDS = 0.02
# A page may announce one instant after another; its peer then waits for the next round.
MAX_CHECKS = 5


def next_instant(verdict: Verdict, state: AlertState | None, now: float, timing: Timing) -> float | None:
    """The epoch second at which an alert would change if its page stays as it is; None if time changes nothing."""
    if verdict.condition == "unknown" or state is None:
        return verdict.until
    if state.phase == "pending":
        return now + timing.for_seconds - state.held_seconds
    if state.cleared_seconds is not None:
        return now + timing.recover_seconds - state.cleared_seconds
    return None


class Deadlines:
    """The instants at which peers are due, in epoch seconds, between one round and the next."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._checks: Counter[str] = Counter()

    def begin_round(self, due: Mapping[str, float]) -> None:
        """A round has checked every peer."""
        self._due = dict(due)
        self._checks.clear()

    def update(self, peers: Iterable[str], due: Mapping[str, float]) -> None:
        """A check of `peers` has found when they are due next."""
        for peer in peers:
            if peer in due and self._checks[peer] < MAX_CHECKS:
                self._due[peer] = due[peer]

    def seconds_left(self, now: float) -> float | None:
        """How long until the next check is due; None if none is."""
        return max(0.0, min(self._due.values()) + CHECK_AFTER_SECONDS - now) if self._due else None

    def take(self, now: float) -> set[str]:
        """Takes the peers that are due now."""
        peers = {peer for peer, instant in self._due.items() if instant + CHECK_AFTER_SECONDS <= now}
        for peer in peers:
            del self._due[peer]
        self._checks.update(peers)
        return peers
