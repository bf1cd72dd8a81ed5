"""Rank and reward of the fleet's peers by every configured source, read once for this host.

Each source has a thread of its own, so that one that is slow keeps no other. The peers are those whose key files the
configuration names, and those that a sidecar asked for within the last hour.
"""

import logging
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict
from operator import itemgetter
from typing import Any

from exporter.leaderboard.changes import Changes
from exporter.leaderboard.last_values import LastValues, Report
from exporter.sources import Source, Standing
from trainer.protocol import RoundAndStage, is_peer_id

MAX_PEERS = 256
ASKED_SECONDS = 3600.0
TICK_SECONDS = 1.0

_log = logging.getLogger("leaderboard")


class Standings:
    """The newest report of each source. `page` and `start` may be called by any thread."""

    def __init__(self, sources: Mapping[str, Source], changes: Changes, known: Collection[str] = ()) -> None:
        """`sources` by label; `known` are peers that are read whether anybody asks or not."""
        self._readers = {label: LastValues(source) for label, source in sources.items()}
        self._reports = {label: Report() for label in sources}
        self._changes = changes
        self._known = tuple(dict.fromkeys(known))[:MAX_PEERS]
        self._asked: dict[str, float] = {}
        self._lock = threading.Lock()
        self.looked_at: float | None = None

    def start(self, stop: threading.Event) -> None:
        """Reads until `stop`, in threads that end with the process."""
        for label in self._readers:
            threading.Thread(target=self._run, args=(label, stop), name=f"source {label}", daemon=True).start()

    def read(self, label: str, now: float) -> None:
        """Reads a source at the Unix time `now`, if it is time; each source by one thread."""
        peers = self._list_peers(now)
        if peers:
            report = self._readers[label].read(peers, now)
            before, self._reports[label] = self._reports[label], report
            if report.problem != before.problem:
                _log.warning("source %s: %s", label, report.problem) if report.problem else _log.info(
                    "source %s: read", label
                )
            self._changes.note(label, tuple(one for one in report.standings if one.read_at == now))
        self.looked_at = now

    def page(self, peer_id: str, now: float) -> dict[str, Any]:
        """What `/api/standings/{id}` answers; that a peer is asked for makes it one that is read."""
        with self._lock:
            if is_peer_id(peer_id) and (peer_id in self._asked or len(self._asked) < MAX_PEERS):
                self._asked[peer_id] = now
        return {
            "id": peer_id,
            "sources": [self._describe(label, report, peer_id) for label, report in self._reports.items()],
        }

    def find_place(self) -> RoundAndStage | None:
        """The swarm's round and stage by the first source that tells them, on a contract that has one of our peers."""
        standings = [one for report in self._reports.values() if report.is_up for one in report.standings]
        places = [
            (not one.is_listed, RoundAndStage(one.round, one.stage))
            for one in standings
            if one.round is not None and one.stage is not None
        ]
        return min(places, key=itemgetter(0), default=(True, None))[1]

    def _describe(self, label: str, report: Report, peer_id: str) -> dict[str, Any]:
        return {
            "source": label,
            "up": report.is_up,
            "success_at": report.success_at,
            "problem": report.problem,
            "standings": [self._describe_one(label, one) for one in report.standings if one.peer_id == peer_id],
        }

    def _describe_one(self, label: str, standing: Standing) -> dict[str, Any]:
        change = self._changes.find(label, standing)
        found = asdict(standing) | ({} if change is None else _times(asdict(change)))
        return {name: value for name, value in found.items() if value is not None and name != "peer_id"}

    def _list_peers(self, now: float) -> list[str]:
        with self._lock:
            # A clock that was put back forgets nobody.
            self._asked = {one: at for one, at in self._asked.items() if now - at <= ASKED_SECONDS}
            return list(dict.fromkeys((*self._known, *self._asked)))[:MAX_PEERS]

    def _run(self, label: str, stop: threading.Event) -> None:
        while not stop.is_set():
            self.read(label, time.time())
            stop.wait(TICK_SECONDS)


def _times(change: dict[str, Any]) -> dict[str, Any]:
    return {name: change[name] for name in ("first_read_at", "reward_changed_at", "participation_changed_at")}


def label_sources(kinds: Collection[str]) -> list[str]:
    """A label for each source: its kind, and a number from the second of its kind on."""
    labels: list[str] = []
    for kind in kinds:
        same = sum(label.partition("-")[0] == kind for label in labels)
        labels.append(f"{kind}-{same + 1}" if same else kind)
    return labels
