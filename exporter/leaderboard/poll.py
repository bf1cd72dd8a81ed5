"""The loop of the service: query the DHT, follow the swarm, credit, save, render."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from exporter.identity.peer_name import WordLists
from exporter.leaderboard.config import LeaderboardConfig
from exporter.leaderboard.measures import Measures
from exporter.leaderboard.names import Names
from exporter.leaderboard.position import Evidence, closing_places, follow, late_places, places_to_read
from exporter.leaderboard.reader import Answers, ReadFailed
from exporter.leaderboard.records import Entry, Message
from exporter.leaderboard.snapshot import Gossip, History, Snapshot, render
from exporter.leaderboard.store import Store, StoreFailed
from trainer.protocol import RoundAndStage

# A swarm of seconds-long stages gets further between two polls than one read ahead reaches.
MAX_READS = 5
GOSSIP_PEERS = 10
RETRY_SECONDS = 5.0

_log = logging.getLogger("leaderboard")

Found = dict[RoundAndStage, dict[str, Entry]]


class Source(Protocol):
    """Reads the DHT."""

    def ask(self, queries: Sequence[Sequence[Any]], now: float) -> Answers: ...


class Poller:
    """Owns board, position and store; publishes an immutable `snapshot` after each poll."""

    def __init__(
        self,
        config: LeaderboardConfig,
        source: Source,
        store: Store,
        measures: Measures,
        find_place: Callable[[], RoundAndStage | None] = lambda: None,
    ) -> None:
        """`find_place` knows the round where nobody announces it in the DHT, as in swarms with a contract."""
        self._config, self._source, self._store, self._measures = config, source, store, measures
        self._find_place = find_place
        self._board, self._position = store.load()
        self._set_aside_count = 0
        self._count_set_aside()
        self._history = History()
        self._words: WordLists | None = None
        self._gossip: list[Gossip] = []
        self._announced: RoundAndStage | None = None
        self._turn = 0
        self.snapshot: Snapshot = self._render(None, time.time())

    def poll(self, now: float) -> None:
        """One poll at unix time `now`. Raises ReadFailed or StoreFailed; what was read until then stays credited."""
        self._announced = self._read_position()
        found = self._catch_up(now)
        if not found and (self._announced is None or self._board.peers):
            raise ReadFailed(
                "the DHT holds no rewards of this swarm"
                if self._announced is not None
                else "no source announces the swarm's round (nobody writes rl_swarm_rs), and no rewards were found"
            )
        self._read_late(now)
        self._gossip = self._read_gossip(found)
        self.snapshot = self._render(now, now)
        self._measures.last_poll.set(now)
        self._save()

    def run(self, stop: threading.Event) -> None:
        """Polls until `stop`; a failed poll is retried soon; each change between success and failure is logged once."""
        logged = None
        while not stop.is_set():
            failure = self._try_poll()
            if failure != logged and not stop.is_set():
                logged = failure
                _log.warning("poll failed: %s", failure) if failure else _log.info(
                    "reading the swarm: %s", self._place()
                )
            interval = self._config.poll_interval_seconds
            stop.wait(min(interval, RETRY_SECONDS) if failure else interval)

    def _try_poll(self) -> str:
        """Why the poll failed; empty after a success."""
        started, failure = time.monotonic(), ""
        try:
            self.poll(time.time())
        except ReadFailed as error:
            failure = str(error)
            self._measures.poll_failures.inc()
        except StoreFailed as error:
            failure = str(error)
            self._measures.store_failures.inc()
        self._measures.polls.inc()
        self._measures.poll_success.set(not failure)
        if failure:
            self.snapshot = replace(self.snapshot, problem=failure)
        self._measures.poll_duration.set(time.monotonic() - started)
        return failure

    def _read_position(self) -> RoundAndStage | None:
        [answer] = self._ask([["position"]])
        return self._find_place() if answer is None else RoundAndStage(*answer)

    def _catch_up(self, now: float) -> Found:
        """Reads and credits rewards until the frontier no longer moves."""
        everything: Found = {}
        for _ in range(MAX_READS):
            found = self._read_rewards(places_to_read(self._position, self._announced))
            everything.update(found)
            before = self._position
            self._follow(found)
            self._credit(found, now)
            if self._position.frontier == before.frontier:
                break
        return everything

    def _read_rewards(self, places: Sequence[RoundAndStage]) -> Found:
        found: Found = {}
        for place, answer in zip(places, self._ask([["rewards", *place] for place in places]), strict=True):
            if answer is None:
                continue
            entries, rejected = answer
            for reason, count in rejected.items():
                self._measures.rejected.labels(reason).inc(count)
            if entries:
                found[place] = {peer_id: Entry(*entry) for peer_id, entry in entries.items()}
        return found

    def _follow(self, found: Found) -> None:
        voters = self._config.names.keys()
        evidence = {place: Evidence(bool(e), self._board.count_fresh(e, voters)) for place, e in found.items()}
        before = self._position
        self._position = follow(before, self._announced, evidence, is_board_empty=not self._board.peers)
        if self._position.epoch != before.epoch:
            _log.info("the swarm was restarted at %s", self._place())
            self._board.begin_epoch(self._position.open_from)

    def _credit(self, found: Found, now: float) -> None:
        frontier = self._position.frontier
        for place in sorted(found):
            # A far place counts from the poll that moves there: nothing of it may be credited before.
            if frontier is not None and self._board.open_from <= place <= frontier:
                self._board.credit(place, found[place], now)
        self._board.evict(self._config.max_peers, self._config.names.keys())

    def _read_late(self, now: float) -> None:
        """Credits what peers that were away publish of earlier rounds; it says nothing of where the swarm is.

        A round is read one last time before it is closed, so that no pace of rounds or polls leaves one out.
        """
        places = late_places(self._position, self._announced, self._turn)
        places += closing_places(self._position, self._board.open_from)
        if places:
            self._credit(self._read_rewards(places), now)
        self._turn += 1
        self._board.close_before(self._position.counted_from)

    def _read_gossip(self, found: Found) -> list[Gossip]:
        """The newest answers of some peers that earned lately, ours first; without any, those read before."""
        places = [place for place in sorted(found) if self._position.frontier and place <= self._position.frontier][-2:]
        ours = self._config.names
        wanted = [
            (peer_id, place)
            for place in places
            for peer_id in sorted(found[place], key=lambda peer_id: (peer_id not in ours, peer_id))[:GOSSIP_PEERS]
        ]
        if not wanted:
            return self._gossip
        answers = self._ask([["outputs", peer_id, *place] for peer_id, place in wanted])
        gossip = [
            Gossip(peer_id, place, Message(*message))
            for (peer_id, place), answer in zip(wanted, answers, strict=True)
            for message in answer
        ]
        return gossip or self._gossip

    def _ask(self, queries: Sequence[Sequence[Any]]) -> list[Any]:
        answers = self._source.ask(queries, time.monotonic())
        self._measures.dht_nodes.set(answers.peers)
        return answers.answers

    def _render(self, polled_at: float | None, now: float) -> Snapshot:
        place = self._position.reported(self._announced)
        board = self._board
        # A checkout that is just being made has no word lists yet.
        self._words = self._words or self._config.find_words()
        names = Names(self._config.names, self._words)
        self._measures.peers.set(len(board.peers))
        self._measures.epoch.set(self._position.epoch)
        if polled_at is not None:
            self._measures.field.update(board, place, now)
        return render(
            board,
            names,
            self._history,
            place=place,
            gossip=self._gossip,
            polled_at=polled_at,
            now=now,
            is_signed=self._config.signed,
        )

    def _save(self) -> None:
        try:
            self._store.save(self._board, self._position)
        finally:
            self._count_set_aside()
        self._measures.database_size.set(self._store.size_bytes())

    def _count_set_aside(self) -> None:
        self._measures.set_aside.inc(self._store.set_aside_count - self._set_aside_count)
        self._set_aside_count = self._store.set_aside_count

    def _place(self) -> str:
        place: Iterable[int] = self._position.reported(self._announced) or ()
        return "round {}, stage {}".format(*place) if place else "no round yet"
