"""What waits to be published: the newest value of each record, and what the swarm refused; pure.

A record that the swarm refuses, because somebody stored one under its name that expires later, is tried again after
all others, ever more rarely and a few times. So it costs nobody but itself.
"""

from dataclasses import dataclass
from typing import Any

# Bounds memory while the swarm is unreachable.
MAX_RECORDS = 64
MAX_ATTEMPTS = 6

# Key and subkey of a record.
Slot = tuple[str, str | None]


@dataclass
class _Waiting:
    value: Any
    refusals: int = 0
    not_before: float = 0.0


class Backlog:
    """Values by slot, in the order in which they came; the oldest give way to new ones."""

    def __init__(self, interval_seconds: float) -> None:
        """The second attempt comes `interval_seconds` after the first, each further one after twice the time."""
        self._interval = interval_seconds
        self._waiting: dict[Slot, _Waiting] = {}

    def put(self, slot: Slot, value: Any) -> None:
        """A new value, which replaces an older one of its slot."""
        self._waiting.pop(slot, None)
        self._waiting[slot] = _Waiting(value)
        while len(self._waiting) > MAX_RECORDS:
            self._waiting.pop(next(iter(self._waiting)))

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def due(self, now: float) -> list[tuple[Slot, Any]]:
        """What is to be stored at monotonic time `now`: what was never refused first."""
        due = [(slot, one) for slot, one in self._waiting.items() if one.not_before <= now]
        return [(slot, one.value) for slot, one in sorted(due, key=lambda entry: entry[1].refusals > 0)]

    def drop(self, slot: Slot, value: Any) -> None:
        """The value is stored, or never will be."""
        if slot in self._waiting and self._waiting[slot].value is value:
            del self._waiting[slot]

    def refuse(self, slot: Slot, value: Any, now: float) -> None:
        """The swarm refused the value; after `MAX_ATTEMPTS` times it is given up."""
        one = self._waiting.get(slot)
        if one is None or one.value is not value:
            return
        one.refusals += 1
        one.not_before = now + self._interval * 2.0 ** (one.refusals - 1)
        if one.refusals >= MAX_ATTEMPTS:
            del self._waiting[slot]
