"""Which connection is closed when a server has no room for a new one, and which has taken too long; pure.

A connection that keeps the server waiting (for a request or the rest of one, for a TLS handshake, for its answer to be
read) gives way first, the longest wait before all others. Then goes the connection that has been idle longest since its
last answer: its client sends the next request on a new one. A connection whose answer is being made stays.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

MAX_CONNECTIONS = 1024
# Of a whole request, and of a whole answer, however slowly the other side sends or reads.
REQUEST_SECONDS = 10.0
# Longer than any scrape interval in use, so that a scraper keeps its connection.
IDLE_SECONDS = 150.0
# Connections taken from the queue between two looks at those that are there.
ACCEPTED_AT_ONCE = 16
# Connections that wait to be taken. Where it is full, a client tries again after a second.
BACKLOG = 1024

Connection = TypeVar("Connection")


class Connections(Generic[Connection]):
    """The open connections; times are seconds of one clock that never goes back."""

    def __init__(self) -> None:
        # Each with its time; the longest first, as time only grows.
        self._waiting: dict[Connection, float] = {}
        self._idle: dict[Connection, float] = {}
        self._served: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._idle) + len(self._served)

    def wait(self, one: Connection, now: float) -> None:
        """It keeps the server waiting from now on, if it has not done so before."""
        if one not in self._waiting:
            self.forget(one)
            self._waiting[one] = now

    def serve(self, one: Connection) -> None:
        """It has sent its request, and its answer is being made."""
        self.forget(one)
        self._served.add(one)

    def rest(self, one: Connection, now: float) -> None:
        """It has its answer, and may ask again."""
        self.forget(one)
        self._idle[one] = now

    def forget(self, one: Connection) -> None:
        """It is closed."""
        self._waiting.pop(one, None)
        self._idle.pop(one, None)
        self._served.discard(one)

    def choose(self) -> Connection | None:
        """The one to close for a new one; None if all are being served."""
        return next(iter(self._waiting), None) or next(iter(self._idle), None)

    def overdue(self, now: float, request_seconds: float, idle_seconds: float) -> list[Connection]:
        """Those that have taken longer than they may."""
        return [
            *_before(self._waiting, now - request_seconds),
            *_before(self._idle, now - idle_seconds),
        ]

    def seconds_left(self, now: float, request_seconds: float, idle_seconds: float) -> float | None:
        """Time until the first of them is overdue, not negative; None without any."""
        ends = [since + request_seconds for since in _first(self._waiting)]
        ends += [since + idle_seconds for since in _first(self._idle)]
        return max(0.0, min(ends) - now) if ends else None

    def __iter__(self) -> Iterator[Connection]:
        return iter([*self._waiting, *self._idle, *self._served])


def _first(times: dict[Connection, float]) -> list[float]:
    return [next(iter(times.values()))] if times else []


def _before(times: dict[Connection, float], limit: float) -> Iterator[Connection]:
    for one, since in times.items():
        if since > limit:
            return
        yield one
