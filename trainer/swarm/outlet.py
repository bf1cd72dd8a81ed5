"""Stores in the swarm what waits for it; what fails costs itself alone, and is tried again."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from trainer.protocol import ROUND_AND_STAGE_KEY
from trainer.swarm.backlog import Backlog, Slot
from trainer.swarm.error import SwarmError
from trainer.swarm.records import Node, Telemetry

log = logging.getLogger(__name__)

# A swarm that does not respond is not asked for the rest of what is due.
MAX_FAILURES = 2
WARN_SECONDS = 300.0


class Outlet:
    """`put` may be called by any thread, everything else by the one that uses the DHT."""

    def __init__(self, swarm: Node, telemetry: Telemetry, interval_seconds: float) -> None:
        self._swarm, self._telemetry = swarm, telemetry
        self._lock = threading.Lock()
        self._backlog = Backlog(interval_seconds)
        self._failures: list[str] = []
        self._refusals: list[str] = []
        self._outcomes: dict[Slot, bool] = {}
        self._failing_since: float | None = None
        self._warned_at = 0.0
        self.stored_at = time.monotonic()
        # When the announcement expires that this peer's has to outlast: of one whose clock is ahead.
        self.outlast = 0.0

    def put(self, slot: Slot, value: Any) -> None:
        """A value to be stored, which replaces an older one of its slot."""
        with self._lock:
            self._backlog.put(slot, value)

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        with self._lock:
            return self._backlog.is_empty()

    @contextlib.contextmanager
    def isolated(self) -> Iterator[None]:
        """A SwarmError of what is inside ends only that."""
        try:
            yield
        except SwarmError as error:
            self._failures.append(str(error))

    @property
    def responds(self) -> bool:
        """Whether the swarm responds: too few calls failed since the last report to think otherwise."""
        return len(self._failures) < MAX_FAILURES

    def due(self, now: float) -> list[tuple[Slot, Any]]:
        """What is to be stored at monotonic time `now`."""
        with self._lock:
            return self._backlog.due(now)

    def store_all(self, due: Sequence[tuple[Slot, Any]], now: float) -> None:
        """Stores what was due, as long as the swarm responds."""
        for slot, value in due:
            if self.responds:
                with self.isolated():
                    self.store(slot, value, now)

    def store(self, slot: Slot, value: Any, now: float) -> bool:
        """Stores one value; whether the swarm accepted it. Raises SwarmError."""
        key, subkey = slot
        try:
            outlast = self.outlast if key == ROUND_AND_STAGE_KEY else 0.0
            is_accepted = self._swarm.store(key, value, subkey, outlast=outlast)
        except ValueError as error:
            self._refusals.append(str(error))
            with self._lock:
                self._backlog.drop(slot, value)
            return False
        with self._lock:
            if is_accepted:
                self._backlog.drop(slot, value)
            else:
                self._backlog.refuse(slot, value, now)
        self._outcomes[slot] = is_accepted
        if is_accepted:
            self.stored_at = time.monotonic()
            self._telemetry.published(time.time())
        else:
            self._refusals.append(f"the swarm rejected {key}")
        return is_accepted

    def outcome(self, slot: Slot) -> bool | None:
        """Whether the swarm accepted the value of this slot since the last report; None if it was not asked."""
        return self._outcomes.get(slot)

    def report(self, now: float) -> bool:
        """Notifies of what failed since the last report, or was refused; whether the swarm responded to everything."""
        failures, refusals = self._failures, self._refusals
        self._failures, self._refusals, self._outcomes = [], [], {}
        for _ in [*failures, *refusals]:
            self._telemetry.publish_failed()
        if not failures and not refusals:
            self._failing_since = None
            return True
        if self._failing_since is None:
            self._failing_since = now
        if now - self._warned_at >= WARN_SECONDS or self._failing_since == now:
            self._warned_at = now
            log.warning("publishing failed, retrying: %s", (failures or refusals)[0])
        return not failures
