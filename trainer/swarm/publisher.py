"""Publishes what the peer earned from the one thread that uses the DHT, so that the swarm never delays a step.

The training thread leaves its values here; every few seconds the latest of each key is stored. A failed store is
retried, unless a newer value has replaced it.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from exporter.run_folder import write_atomically
from trainer.protocol import (
    ROUND_AND_STAGE_KEY,
    RoundAndStage,
    leaderboard_key,
    leaderboard_value,
    outputs_key,
    outputs_subkey,
    read_rewards,
    read_round_and_stage,
    rewards_key,
)
from trainer.swarm.error import SwarmError
from trainer.swarm.others import REWARD_LIMIT, OtherPeers

log = logging.getLogger(__name__)

POSITION_FILE = "position.json"
# Bounds memory while the swarm is unreachable.
MAX_PENDING = 64
MAX_BOARDS = 8
# Readers of the swarm take some of a stage's outputs; a stage of thousands of steps keeps this many.
MAX_OUTPUTS_PER_STAGE = 32
MIN_FLUSH_SECONDS = 0.25
# A waiting peer has nothing new to publish, but its last reward must stay fresh, or it counts as having left.
REPEAT_SECONDS = 60.0
WARN_SECONDS = 300.0

Slot = tuple[str, str | None]
Query = Callable[["Records"], Any]


class Records(Protocol):
    """The part of the swarm that publishing needs. Its calls raise SwarmError."""

    def store(self, key: str, value: Any, subkey: str | None = None) -> bool: ...
    def get(self, key: str) -> Any: ...
    def count_peers(self) -> int: ...
    def is_alive(self) -> bool: ...


class Telemetry(Protocol):
    """The part of the telemetry that is notified of publishing."""

    def published(self, at: float) -> None: ...
    def publish_failed(self) -> None: ...
    def set_connected_peers(self, count: int) -> None: ...


class Publisher(threading.Thread):
    """All methods but `run` are called by the training thread, and return at once."""

    def __init__(
        self,
        swarm: Records,
        telemetry: Telemetry,
        run_dir: Path,
        peer_id: str,
        interval_seconds: float,
        others: OtherPeers | None = None,
    ) -> None:
        super().__init__(name="publisher", daemon=True)
        self._swarm, self._telemetry, self._peer_id, self._others = swarm, telemetry, peer_id, others
        self._position_path = run_dir / POSITION_FILE
        self._interval = interval_seconds
        self._changed = threading.Condition()
        self._pending: dict[Slot, Any] = {}
        self._boards: dict[RoundAndStage, None] = {}
        self._outputs_put: tuple[RoundAndStage, int] | None = None
        self._requests: list[tuple[Query, Future[Any]]] = []
        self._position: Mapping[str, Any] | None = None
        self._last_reward: tuple[Slot, float] | None = None
        self._urgent = self._closing = False
        self._failing_since: float | None = None
        self._warned_at = 0.0
        self._flushed_at = self._stored_at = time.monotonic()
        self.is_swarm_lost = False

    # Called by the training thread

    def put_reward(self, at: RoundAndStage, reward: float) -> None:
        """The peer's reward sum of a stage so far."""
        slot = (rewards_key(*at), self._peer_id)
        with self._changed:
            self._last_reward = slot, reward
            self._put(slot, reward)

    def put_output(self, at: RoundAndStage, question: str, value: tuple[float, dict[str, Any]]) -> bool:
        """The peer's completion of a question in a stage; whether the stage still takes one."""
        with self._changed:
            count = self._outputs_put[1] if self._outputs_put and self._outputs_put[0] == at else 0
            if count >= MAX_OUTPUTS_PER_STAGE:
                return False
            self._outputs_put = at, count + 1
            self._put((outputs_key(self._peer_id, *at), outputs_subkey(question)), value)
            return True

    def hurry(self) -> None:
        """What was left here does not wait for the interval: a stage has ended, and others need its outputs."""
        with self._changed:
            self._urgent = True
            self._changed.notify()

    def announce(self, at: RoundAndStage, *, is_new: bool) -> None:
        """Publishes the swarm's round and stage, as its leader; a new one does not wait for the interval."""
        with self._changed:
            self._put((ROUND_AND_STAGE_KEY, None), tuple(at))
            self._boards.pop(at, None)
            self._boards[at] = None
            while len(self._boards) > MAX_BOARDS:
                self._boards.pop(next(iter(self._boards)))
        if is_new:
            self.hurry()

    def save_progress(self, position: Mapping[str, Any]) -> None:
        """Saves the peer's round progress in the run folder."""
        with self._changed:
            self._position = position

    def ask_round_and_stage(self) -> "Future[RoundAndStage | None]":
        """The swarm's round and stage, once the DHT responds; None if there is none, or none valid."""
        return self._ask(lambda swarm: read_round_and_stage(swarm.get(ROUND_AND_STAGE_KEY)))

    def ask_rewards(self, at: RoundAndStage) -> "Future[dict[str, float] | None]":
        """All peers' sums of a stage, once the DHT responds; None if it cannot be read."""
        return self._ask(lambda swarm: read_rewards(swarm.get(rewards_key(*at)), limit=REWARD_LIMIT))

    def ask_others(self) -> "Future[None]":
        """Done once the other peers' outputs were read again."""
        return self._ask(self._others.refresh if self._others else lambda swarm: None)

    def _ask(self, query: Query) -> "Future[Any]":
        reply: Future[Any] = Future()
        with self._changed:
            self._requests.append((query, reply))
            self._changed.notify()
        return reply

    def close(self, timeout_seconds: float) -> None:
        """Publishes what is pending and ends the thread; gives up if the swarm does not respond in time."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self.join(timeout_seconds)

    # Run by the publisher's thread

    def run(self) -> None:
        """Runs until it is closed or the DHT process is gone."""
        while not self._closing:
            with self._changed:
                if not self._requests:
                    self._changed.wait(self._seconds_to_wait())
            if not self._swarm.is_alive():
                self.is_swarm_lost = not self._closing
                break
            self._answer_requests()
            if self._is_due():
                self._flush()
        if self._closing and not self.is_swarm_lost:
            self._flush()
        self._write_position()
        self._cancel_requests()

    def _is_due(self) -> bool:
        since = time.monotonic() - self._flushed_at
        return since >= self._interval or (self._urgent and since >= min(MIN_FLUSH_SECONDS, self._interval))

    def _seconds_to_wait(self) -> float:
        since = time.monotonic() - self._flushed_at
        pause = min(MIN_FLUSH_SECONDS, self._interval) if self._urgent else self._interval
        # At least once a second, to notice that the DHT ended.
        return min(1.0, max(0.0, pause - since))

    def _put(self, slot: Slot, value: Any) -> None:
        self._pending.pop(slot, None)
        self._pending[slot] = value
        while len(self._pending) > MAX_PENDING:
            self._pending.pop(next(iter(self._pending)))

    def _flush(self) -> None:
        self._flushed_at = time.monotonic()
        with self._changed:
            pending, self._pending = self._pending, {}
            boards, self._boards = self._boards, {}
            self._urgent = False
            if not pending and self._last_reward and self._flushed_at - self._stored_at >= REPEAT_SECONDS:
                pending = dict([self._last_reward])
        try:
            while pending:
                slot = next(iter(pending))
                self._store(slot, pending[slot])
                del pending[slot]
            for at in boards:
                self._publish_board(at)
            if self._others and not self._closing:
                self._others.refresh(self._swarm)
            self._telemetry.set_connected_peers(self._swarm.count_peers())
            self._failing_since = None
        except SwarmError as error:
            self._fail(error, pending)
        self._write_position()

    def _store(self, slot: Slot, value: Any) -> None:
        key, subkey = slot
        if not self._swarm.store(key, value, subkey):
            raise SwarmError(f"the swarm rejected {key}")
        self._stored_at = time.monotonic()
        self._telemetry.published(time.time())

    def _publish_board(self, at: RoundAndStage) -> None:
        rewards = read_rewards(self._swarm.get(rewards_key(*at)), limit=REWARD_LIMIT)
        if rewards:
            self._store((leaderboard_key(*at), None), leaderboard_value(rewards))

    def _fail(self, error: SwarmError, unsent: dict[Slot, Any]) -> None:
        self._telemetry.publish_failed()
        with self._changed:
            newer, self._pending = self._pending, unsent
            for slot, value in newer.items():
                self._put(slot, value)
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if now - self._warned_at >= WARN_SECONDS or self._failing_since == now:
            self._warned_at = now
            log.warning("publishing failed, retrying: %s", error)

    def _answer_requests(self) -> None:
        with self._changed:
            requests, self._requests = self._requests, []
        for query, reply in requests:
            try:
                reply.set_result(query(self._swarm))
            except SwarmError:
                reply.set_result(None)

    def _cancel_requests(self) -> None:
        with self._changed:
            requests, self._requests = self._requests, []
        for _, reply in requests:
            reply.set_result(None)

    def _write_position(self) -> None:
        with self._changed:
            position, self._position = self._position, None
        if position is not None:
            try:
                write_atomically(self._position_path, json.dumps(position).encode())
            except OSError as error:
                log.warning("cannot save the round progress: %s", error)
