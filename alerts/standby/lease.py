"""Whether the first watcher may notify, or has been away so long that its standby may do so. Pure.

A watcher that was stopped, or whose machine slept, does not notice it: it finds that time has passed. Until its standby
says that it does not notify, or is found to be gone too, the first one keeps its notifications back.
"""

import secrets
from collections.abc import Callable
from typing import Literal, NamedTuple


class Instant(NamedTuple):
    """Seconds by a clock that never steps, and by one that goes on while the machine sleeps."""

    steady: float
    wall: float

    def since(self, earlier: "Instant") -> float:
        """The seconds since then, by the clock that says more."""
        return max(self.steady - earlier.steady, self.wall - earlier.wall)


def make_nonce() -> str:
    """A word that nobody can have said before."""
    return secrets.token_urlsafe(12)


class Lease:
    """What the first watcher knows of its standby.

    `nonce` changes with each doubt: a standby proves with it that it speaks after that, as a question may have waited
    in the socket of a watcher that was stopped.
    """

    def __init__(self, after: float | None, now: Instant, make: Callable[[], str] = make_nonce) -> None:
        """`after` is the standby's delay that is remembered from an earlier run, None if there was no standby."""
        self._make = make
        self.nonce = make()
        self.after = after
        self._contact: Instant | None = None
        self._checked_at = now
        self._doubt_since: Instant | None = now if after is not None else None
        self._is_alone = after is None

    @property
    def state(self) -> Literal["alone", "doubt", "accompanied"]:
        """`alone`: there is no standby, or it is gone. `doubt`: it may have taken over."""
        return "doubt" if self._doubt_since is not None else "alone" if self._is_alone else "accompanied"

    def may_notify(self, now: Instant) -> bool:
        """To be asked more often than every quarter of `after`, as a gap is a reason to doubt."""
        self._look(now)
        return self._doubt_since is None

    def note(self, nonce: str, after: float, now: Instant) -> bool:
        """A standby has asked; whether that counts, as it has said the present nonce."""
        self._look(now)
        self.after = after
        if nonce != self.nonce:
            if self._doubt_since is not None:
                # It is about to prove itself: that takes no longer than this.
                self._doubt_since = now
            return False
        self._contact, self._doubt_since, self._is_alone = now, None, False
        return True

    def _look(self, now: Instant) -> None:
        gap, self._checked_at = now.since(self._checked_at), now
        if self.after is None:
            return
        silence = now.since(self._contact) if self._contact is not None and not self._is_alone else 0.0
        if gap > self.after / 2:
            self._doubt_since, self.nonce = now, self._make()
        elif self._doubt_since is not None:
            if now.since(self._doubt_since) > self.after / 2:
                self._doubt_since, self._is_alone = None, True
        elif silence > self.after / 2:
            self._doubt_since, self.nonce = now, self._make()


class Silence:
    """How long a standby has heard nothing, counted while it really listened."""

    def __init__(self, longest_attempt: float) -> None:
        """`longest_attempt` is how long an attempt and its pause take at most: more is a machine that slept."""
        self.seconds = 0.0
        self._longest = longest_attempt

    def end(self) -> None:
        self.seconds = 0.0

    def add(self, elapsed: float) -> float:
        """An attempt failed, so long after the one before; returns the sum."""
        self.seconds += min(elapsed, self._longest)
        return self.seconds
