"""When a source's numbers of a peer last changed, kept in a small file across restarts of the service.

A total that does not move is the one sign of rewards that no longer count, and only who has watched it can tell.
"""

import json
import logging
import threading
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from exporter.run_folder import read_bounded, write_atomically
from exporter.sources import Standing
from trainer.protocol import read_number

# Beside the board's database.
CHANGES_FILE = "changes.json"
MAX_ENTRIES = 4096
MAX_BYTES = 4 << 20
# Beyond any reward, and any time.
_MAX_VALUE = 1e30

_log = logging.getLogger("leaderboard")

# Source, contract ("" without one) and peer id.
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Change:
    """Unix times: of the first read, and of the first reads after the last changes; equal where none was seen."""

    first_read_at: float
    reward: float | None = None
    reward_changed_at: float | None = None
    participation: float | None = None
    participation_changed_at: float | None = None


class Changes:
    """All peers' changes. Several threads may use it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known = read_changes(path)
        self._failed = False

    def note(self, source: str, standings: tuple[Standing, ...]) -> None:
        """Takes in what a source said; writes the file where something is new."""
        with self._lock:
            is_new = False
            for standing in standings:
                key = (source, standing.contract or "", standing.peer_id)
                before = self._known.get(key)
                after = follow(before, standing)
                if after != before:
                    # The least recently changed come first, and go first.
                    self._known.pop(key, None)
                    self._known[key] = after
                    is_new = True
            for key in list(self._known)[: max(0, len(self._known) - MAX_ENTRIES)]:
                del self._known[key]
            if is_new:
                self._write()

    def find(self, source: str, standing: Standing) -> Change | None:
        """What is known of a standing's changes."""
        with self._lock:
            return self._known.get((source, standing.contract or "", standing.peer_id))

    def _write(self) -> None:
        entries = [[*key, asdict(change)] for key, change in self._known.items()]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(self._path, json.dumps(entries).encode(), mode=0o600)
        except OSError as error:
            if not self._failed:
                _log.error("when rewards changed cannot be saved: %s: %s", self._path, error.strerror)
            self._failed = True
        else:
            self._failed = False


def follow(before: Change | None, standing: Standing) -> Change:
    """The changes after a read; one that lacks a number leaves it as it was."""
    at = standing.read_at
    change = before or Change(first_read_at=at)
    reward, reward_changed_at = change.reward, change.reward_changed_at
    if standing.reward is not None and standing.reward != reward:
        reward, reward_changed_at = standing.reward, at
    participation, participation_changed_at = change.participation, change.participation_changed_at
    if standing.participation is not None and standing.participation != participation:
        participation, participation_changed_at = standing.participation, at
    return Change(change.first_read_at, reward, reward_changed_at, participation, participation_changed_at)


def read_changes(path: Path) -> dict[Key, Change]:
    """What an earlier service wrote; empty where it wrote nothing that can be read."""
    try:
        entries = json.loads(read_bounded(path, MAX_BYTES))
        return {(str(source), str(contract), str(peer)): _parse(found) for source, contract, peer, found in entries}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        _log.error("%s cannot be read, and is begun again: %s", path, getattr(error, "strerror", None) or error)
        return {}


def _parse(found: dict[str, object]) -> Change:
    values = {field.name: read_number(found.get(field.name), limit=_MAX_VALUE) for field in fields(Change)}
    first_read_at = values.pop("first_read_at")
    if first_read_at is None:
        raise ValueError("no time of the first read")
    return Change(first_read_at, **values)
