"""Silences and acknowledgements in the database; cached in memory, as every round reads them."""

from collections.abc import Callable, Iterable

from alerts.delivery.silences import AckRequest, Silence, SilenceRequest, matches
from alerts.engine.evaluate import Key
from alerts.store import Store

MAX_SILENCES = 1000


class SilenceStore:
    """The active silences and the acknowledged alerts; `on_change` is called when they change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.on_change: Callable[[], None] = lambda: None
        rows = store.execute("SELECT id, rule, peer, severity, ends_at, comment FROM silences ORDER BY id")
        self._silences = {row[0]: Silence(*row) for row in rows}
        self.acknowledged = frozenset(Key(*row) for row in store.execute("SELECT rule, peer FROM acknowledged"))

    def silences(self, now: float) -> list[Silence]:
        """Those that have not ended."""
        return [silence for silence in self._silences.values() if now < silence.ends_at]

    def silence(self, request: SilenceRequest, now: float) -> Silence:
        """Adds a silence. Raises ValueError if there are MAX_SILENCES."""
        with self._store.transaction():
            self._store.execute("DELETE FROM silences WHERE ends_at <= ?", (now,))
            self._silences = {one.id: one for one in self.silences(now)}
            if len(self._silences) >= MAX_SILENCES:
                raise ValueError(f"there are {MAX_SILENCES} silences already; end some first")
            wanted = (request.rule, request.peer, request.severity, now + request.lasts, request.comment)
            cursor = self._store.execute(
                "INSERT INTO silences (rule, peer, severity, ends_at, comment) VALUES (?, ?, ?, ?, ?)", wanted
            )
        assert cursor.lastrowid is not None
        self._silences[cursor.lastrowid] = Silence(cursor.lastrowid, *wanted)
        self.on_change()
        return self._silences[cursor.lastrowid]

    def end_silence(self, number: int) -> bool:
        """Ends a silence; whether it existed."""
        # Numbers from outside may be larger than any that SQLite takes.
        if number not in self._silences:
            return False
        self._store.execute("DELETE FROM silences WHERE id = ?", (number,))
        del self._silences[number]
        self.on_change()
        return True

    def acknowledge(self, request: AckRequest, firing: Iterable[Key]) -> list[Key]:
        """Acknowledges the firing alerts that match, and returns them."""
        keys = [key for key in sorted(firing) if matches(request.rule, key.rule) and matches(request.peer, key.peer)]
        with self._store.transaction():
            for key in keys:
                self._store.execute("INSERT OR IGNORE INTO acknowledged VALUES (?, ?)", key)
        self.acknowledged |= frozenset(keys)
        self.on_change()
        return keys

    def delete_acknowledgements(self, ended: Iterable[Key]) -> None:
        """Deletes them from the database only: `forget_acknowledgements` follows once that is committed."""
        for key in ended:
            self._store.execute("DELETE FROM acknowledged WHERE rule = ? AND peer = ?", key)

    def forget_acknowledgements(self, ended: Iterable[Key]) -> None:
        """An alert that fires again must be acknowledged again."""
        self.acknowledged -= frozenset(ended)
