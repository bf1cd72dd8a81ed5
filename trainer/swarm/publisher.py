"""Publishes what the peer earned from the one thread that uses the DHT, so that the swarm never delays a step.

The training thread leaves its values here; every few seconds the latest of each key is stored. A failed store is
retried, unless a newer value has replaced it. What fails costs itself alone.

What the peer earned is written to the run folder before it is published, so that no restart falls behind what others
have seen. The sums of its last rounds are published again after a restart, when the node was lost or did not respond,
and now and then: whoever held the records may be gone.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from exporter.run_folder import read_bounded, write_atomically
from trainer.protocol import (
    ROUND_AND_STAGE_KEY,
    RoundAndStage,
    leaderboard_key,
    leaderboard_value,
    outputs_key,
    outputs_subkey,
    rewards_key_of,
)
from trainer.rounds import RoundProgress, from_record, to_record
from trainer.swarm.backlog import Slot
from trainer.swarm.error import SwarmError
from trainer.swarm.leadership import Leadership
from trainer.swarm.others import OtherPeers
from trainer.swarm.outlet import Outlet
from trainer.swarm.records import Node, Telemetry
from trainer.swarm.round_reader import RoundReader
from trainer.swarm.stage_rewards import read_stage_rewards

log = logging.getLogger(__name__)

POSITION_FILE = "position.json"
MAX_BOARDS = 8
# As many as fit into one value; other software reads the best ones.
MAX_BOARD_PEERS = 1000
# Readers of the swarm take some of a stage's outputs; a stage of thousands of steps keeps this many.
MAX_OUTPUTS_PER_STAGE = 32
MIN_FLUSH_SECONDS = 0.25
# A waiting peer has nothing new to publish, but its last reward must stay fresh, or it counts as having left.
REPEAT_SECONDS = 60.0
REPEAT_ALL_SECONDS = 600.0
# How often a peer dials initial peers that it lost, while it waits: its half of the swarm may be the one that stands
# still. While it trains it does so more rarely.
DIAL_SECONDS = 30.0
DIAL_TRAINING_SECONDS = 60.0
# Flushes in a row that failed, after which the node is built again, at first and at the most seldom.
FAILURES_TO_REBUILD = 3
MAX_FAILURES_TO_REBUILD = 96


class Publisher(threading.Thread):
    """All methods but `run` are called by the training thread, and return at once."""

    def __init__(
        self,
        swarm: Node,
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
        self._outlet = Outlet(swarm, telemetry, interval_seconds)
        saved = _read_place(self._position_path)
        self._leadership = Leadership(
            swarm, self._outlet, telemetry, peer_id, interval_seconds, time.monotonic(), saved=saved
        )
        self._rounds = RoundReader(swarm, peer_id, saved)
        self._unreadable: set[RoundAndStage] = set()
        self._failed_flushes, self._failures_to_rebuild = 0, FAILURES_TO_REBUILD
        self._asked_at, self._dialled_at = float("-inf"), time.monotonic()
        self._boards: dict[RoundAndStage, None] = {}
        self._outputs_put: tuple[RoundAndStage, int] | None = None
        self._requests: list[tuple[Callable[[], Any], Future[Any]]] = []
        self._progress: RoundProgress | None = None
        self._sums: dict[RoundAndStage, float] = {}
        self._earned_at: RoundAndStage | None = None
        self._repeated_at = time.monotonic()
        self._announced: RoundAndStage | None = None
        self._urgent = self._closing = False
        self._flushed_at = time.monotonic()
        self.is_swarm_lost = False

    # Called by the training thread

    @property
    def leads(self) -> bool:
        """Whether this peer leads the swarm now."""
        return self._leadership.leads

    @property
    def looks_for_others(self) -> bool:
        """Whether this peer, which led or could, has not heard of the swarm since it came back."""
        return self._leadership.looks_for_others

    @property
    def furthest(self) -> RoundAndStage | None:
        """The furthest place of a signed swarm that a leader named, as far as this peer knows."""
        return self._leadership.furthest

    def put_sums(self, progress: RoundProgress) -> None:
        """What the peer earned in its last stages so far, and where that leaves it, which is saved before."""
        with self._changed:
            earlier, self._sums = self._sums, {at: one.reward for at, one in progress.sums.items()}
            self._progress = progress
            for at, reward in sorted(self._sums.items()):
                if earlier.get(at) != reward:
                    self._earned_at = at
                    self._outlet.put(self._slot(at), reward)

    def put_output(self, at: RoundAndStage, question: str, value: tuple[float, dict[str, Any]]) -> bool:
        """The peer's completion of a question in a stage; whether the stage still takes one."""
        with self._changed:
            count = self._outputs_put[1] if self._outputs_put and self._outputs_put[0] == at else 0
            if count >= MAX_OUTPUTS_PER_STAGE:
                return False
            self._outputs_put = at, count + 1
            self._outlet.put((outputs_key(self._peer_id, *at), outputs_subkey(question)), value)
            return True

    def hurry(self) -> None:
        """What was left here does not wait for the interval: a stage has ended, and others need its outputs."""
        with self._changed:
            self._urgent = True
            self._changed.notify()

    def announce(self, at: RoundAndStage, *, is_new: bool) -> None:
        """Publishes the swarm's round and stage, as its leader; a new one does not wait for the interval.

        A round behind one that was announced is left out.
        """
        with self._changed:
            if self._is_behind(at):
                return
            self._announced = at
            self._outlet.put((ROUND_AND_STAGE_KEY, None), tuple(at))
            self._boards.pop(at, None)
            self._boards[at] = None
            while len(self._boards) > MAX_BOARDS:
                self._boards.pop(next(iter(self._boards)))
        if is_new:
            self.hurry()

    def save_progress(self, progress: RoundProgress) -> None:
        """Saves the peer's round progress in the run folder."""
        with self._changed:
            self._progress = progress

    def ask_round_and_stage(self) -> "Future[RoundAndStage | None]":
        """The swarm's round and stage, once the DHT responds; None if there is none, or none valid."""
        return self._ask(self._read_round)

    def ask_rewards(self, at: RoundAndStage) -> "Future[dict[str, float] | None]":
        """All peers' sums of a stage, once the DHT responds; None if it cannot be read."""
        return self._ask(lambda: read_stage_rewards(self._swarm, at))

    def ask_others(self) -> "Future[None]":
        """Done once the other peers' outputs were read again."""
        return self._ask(self._refresh_others)

    def _ask(self, query: Callable[[], Any]) -> "Future[Any]":
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
        with self._changed:
            progress = self._take_progress()
        self._save(progress)
        self._cancel_requests()

    def _is_due(self) -> bool:
        since = time.monotonic() - self._flushed_at
        return since >= self._interval or (self._urgent and since >= min(MIN_FLUSH_SECONDS, self._interval))

    def _seconds_to_wait(self) -> float:
        since = time.monotonic() - self._flushed_at
        pause = min(MIN_FLUSH_SECONDS, self._interval) if self._urgent else self._interval
        # At least once a second, to notice that the DHT ended.
        return min(1.0, max(0.0, pause - since))

    def _flush(self) -> None:
        now = self._flushed_at = time.monotonic()
        with self._outlet.isolated():
            if self._swarm.restore_node():
                log.warning("p2pd was gone: the DHT's node was built again")
                self._publish_again()
        with self._changed:
            boards, self._boards = self._boards, {}
            announced = self._announced
            self._urgent = False
            self._repeat(now)
            due, progress = self._outlet.due(now), self._take_progress()
        self._save(progress)
        self._outlet.store_all(due, now)
        for at in boards:
            if self._outlet.responds and at not in self._unreadable:
                with self._outlet.isolated():
                    self._publish_board(at, now)
        if announced is not None and self.leads:
            self._rounds.note(announced)
        with self._outlet.isolated():
            self._leadership.keep(now, max(filter(None, (announced, self._rounds.believed)), default=None))
            self._leadership.check(announced, self._outlet.outcome((ROUND_AND_STAGE_KEY, None)))
        if self._outlet.responds and not self._closing:
            with self._outlet.isolated():
                self._refresh_others()
        with self._outlet.isolated():
            self._telemetry.set_connected_peers(len(self._swarm.connected_peers()))
        with self._outlet.isolated():
            self._dial(now)
        accepted = self._outlet.outcome(self._slot(self._earned_at)) if self._earned_at is not None else None
        if accepted is not None:
            self._telemetry.set_reward_refused(not accepted)
        if self._outlet.report(now):
            if self._failed_flushes:
                self._publish_again()
            self._failed_flushes = 0
            self._failures_to_rebuild = max(FAILURES_TO_REBUILD, self._failures_to_rebuild - 1)
        else:
            self._failed_flushes += 1
            if self._failed_flushes >= self._failures_to_rebuild:
                self._rebuild()

    def _repeat(self, now: float) -> None:
        if now - self._repeated_at >= REPEAT_ALL_SECONDS:
            self._repeated_at = now
            self._put_all_sums()
            return
        is_idle = now - self._outlet.stored_at >= REPEAT_SECONDS and self._outlet.is_empty()
        if is_idle and self._earned_at in self._sums:
            self._outlet.put(self._slot(self._earned_at), self._sums[self._earned_at])

    def _dial(self, now: float) -> None:
        pause = DIAL_SECONDS if now - self._asked_at <= DIAL_SECONDS else DIAL_TRAINING_SECONDS
        if now - self._dialled_at >= pause:
            self._dialled_at = now
            if self._swarm.dial_initial_peers():
                log.warning("connected again to an initial peer that was lost")

    def _rebuild(self) -> None:
        """A node that has read more than its connections carry answers nothing any more."""
        self._failed_flushes = 0
        self._failures_to_rebuild = min(2 * self._failures_to_rebuild, MAX_FAILURES_TO_REBUILD)
        log.warning("the DHT does not respond: its node is built again")
        with self._outlet.isolated():
            self._swarm.rebuild_node()
            self._publish_again()

    def _publish_again(self) -> None:
        """What the swarm may have lost with this peer's node, or missed meanwhile."""
        with self._changed:
            self._put_all_sums()
            if self.leads and self._announced and not self._is_behind(self._announced):
                self._outlet.put((ROUND_AND_STAGE_KEY, None), tuple(self._announced))

    def _is_behind(self, at: RoundAndStage) -> bool:
        return self.furthest is not None and at.round < self.furthest.round

    def _put_all_sums(self) -> None:
        for at, reward in self._sums.items():
            self._outlet.put(self._slot(at), reward)

    def _slot(self, at: RoundAndStage) -> Slot:
        return rewards_key_of(self._peer_id, *at, self._swarm.shards), self._peer_id

    def _publish_board(self, at: RoundAndStage, now: float) -> None:
        # Not read a second time if this one ends the connections: a flood of strangers outlasts the stage.
        self._unreadable = {one for one in self._unreadable if one.round >= at.round - 1} | {at}
        rewards = read_stage_rewards(self._swarm, at)
        self._unreadable.discard(at)
        if rewards:
            self._outlet.store((leaderboard_key(*at), None), leaderboard_value(rewards)[:MAX_BOARD_PEERS], now)

    def _read_round(self) -> RoundAndStage | None:
        self._asked_at = time.monotonic()
        places = (self._find_place(), self.furthest if self.leads else None)
        return max(filter(None, places), default=None)

    def _find_place(self) -> RoundAndStage | None:
        place = self._rounds.read()
        if place is not None:
            self._leadership.inform(place, time.monotonic())
        return place

    def _refresh_others(self) -> None:
        if self._others:
            self._others.refresh(self._swarm, self._find_place)

    def _answer_requests(self) -> None:
        with self._changed:
            requests, self._requests = self._requests, []
        for query, reply in requests:
            try:
                reply.set_result(query())
            except SwarmError:
                reply.set_result(None)

    def _cancel_requests(self) -> None:
        with self._changed:
            requests, self._requests = self._requests, []
        for _, reply in requests:
            reply.set_result(None)

    def _take_progress(self) -> RoundProgress | None:
        progress, self._progress = self._progress, None
        return progress

    def _save(self, progress: RoundProgress | None) -> None:
        if progress is not None:
            try:
                write_atomically(self._position_path, json.dumps(to_record(progress)).encode())
            except OSError as error:
                log.warning("cannot save the round progress: %s", error)


def _read_place(path: Path) -> RoundAndStage | None:
    """Where the peer whose progress was saved there earned last, or is to go on."""
    try:
        progress = from_record(json.loads(read_bounded(path, 65536)))
    except (OSError, ValueError):
        return None
    if progress.newest is not None:
        return progress.newest
    if progress.position is not None:
        return progress.position.round_and_stage
    return None if progress.finished_round is None else RoundAndStage(progress.finished_round, 0)
