"""Which of the runs that are kept in one place is followed: the one that was begun last."""

from collections.abc import Mapping

from exporter.progress.record import ReadError

# A run that is silent for as long has ended, and an earlier one may be resumed.
QUIET_SECONDS = 600.0


class NewestRun:
    """Keeps to one run, until a later one begins. An earlier run that goes on beside it is another trainer's."""

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy
        self._current: str | None = None
        self._heard_at = 0.0
        self._written: Mapping[str, float] = {}

    def choose(self, written: Mapping[str, float], now: float) -> str | None:
        """The run to follow; None where there is none.

        `written` says for each run how far it was written, by a number that grows. Raises ReadError while two are
        written at once, once both are known.
        """
        before, self._written = self._written, dict(written)
        if not written:
            return None
        current = self._current
        if current is None or current not in written:
            self._current, self._heard_at = max(written, key=lambda run: written[run]), now
            return self._current
        if written[current] != before.get(current):
            self._heard_at = now
        begun = [run for run in written if run not in before]
        gone_on = [run for run in written if run != current and run in before and written[run] > before[run]]
        if gone_on and not begun and now - self._heard_at < QUIET_SECONDS:
            names = " and ".join(repr(run[-60:]) for run in sorted((gone_on[0], current)))
            raise ReadError(f"two runs are written at once, {names}; {self._remedy}")
        if begun or gone_on:
            self._current, self._heard_at = max(begun or gone_on, key=lambda run: written[run]), now
        return self._current
