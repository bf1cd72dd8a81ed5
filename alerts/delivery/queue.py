"""The queue in the database: news for each route, and the notifications made of it.

A notification refers to its news, and waits while an earlier one of its route refers to the same alert: a recovery
never overtakes its firing.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import NamedTuple

from alerts.delivery.routing import Decision, DeliveryState, Notified
from alerts.engine.evaluate import Event, Key
from alerts.messages.news import News
from alerts.messages.single import Message
from alerts.store import Store

KEPT_NOTIFICATIONS = 1000


class Delivery(NamedTuple):
    """A pending notification, due at epoch seconds. `attempts` counts the failed ones."""

    id: int
    route: str
    attempts: int
    due_at: float
    message: Message


class Queue:
    """The tables of delivery. Only the loop's thread uses it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def load_state(self) -> DeliveryState:
        """What was written of the latest decision."""
        notified: dict[str, set[Key]] = {}
        for route, rule, peer in self._store.execute("SELECT route, rule, peer FROM told"):
            notified.setdefault(route, set()).add(Key(rule, peer))
        evidence = self._store.execute("SELECT rule, peer, text FROM evidence")
        return DeliveryState(
            {route: frozenset(keys) for route, keys in notified.items()},
            {Key(rule, peer): text for rule, peer, text in evidence},
        )

    def add(self, decision: Decision, before: DeliveryState, *, now: float) -> None:
        """Queues the news of a decision and writes what it changed in `before`."""
        with self._store.transaction():
            for route, event, held in decision.news:
                self._add_news(route, event, now, held)
            self._replace_notified(before.notified, decision.state.notified)
            self._replace_evidence(before.evidence, decision.state.evidence)

    def waiting(self, route: str) -> list[News]:
        """News of a route that is in no notification yet."""
        rows = self._store.execute(
            "SELECT id, event, queued_at, held FROM news WHERE route = ? AND notification IS NULL ORDER BY id", (route,)
        )
        return [_news(*row) for row in rows]

    def message_times(self, route: str, after: float) -> dict[str, set[float]]:
        """When the notifications of each topic were made since then; all parts of one have the same time."""
        query = "SELECT topic, created_at FROM notifications WHERE route = ? AND topic != '' AND created_at > ?"
        times: dict[str, set[float]] = {}
        for topic, at in self._store.execute(query, (route, after)):
            times.setdefault(topic, set()).add(at)
        return times

    def post(self, route: str, topic: str, messages: Iterable[Message], now: float, *, held_until: float = 0) -> None:
        """Makes notifications of a route."""
        with self._store.transaction():
            for message in messages:
                cursor = self._store.execute(
                    "INSERT INTO notifications (route, topic, title, body, html, created_at, held_until)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (route, topic, message.title, message.body, message.html, now, held_until),
                )
                for news in message.news:
                    self._store.execute("UPDATE news SET notification = ? WHERE id = ?", (cursor.lastrowid, news.id))
            self._prune(route)

    def collapsible(self, route: str, busy: Collection[int]) -> tuple[int, list[News]]:
        """How many notifications of a route can be merged into one, and their news.

        Not those `busy` in an attempt that may still succeed, nor those that failed while others were accepted.
        """
        rows = self._store.execute(
            """
            SELECT n.notification, n.id, n.event, n.queued_at, n.held
            FROM notifications d JOIN news n ON n.notification = d.id
            WHERE d.route = ? AND d.state = 'pending' AND NOT d.overtaken ORDER BY n.id
            """,
            (route,),
        ).fetchall()
        kept = [row for row in rows if row[0] not in busy]
        return len({row[0] for row in kept}), [_news(*row[1:]) for row in kept]

    def collapse(self, route: str, messages: Sequence[Message], now: float) -> None:
        """Replaces the notifications of this news by these messages."""
        with self._store.transaction():
            ids = json.dumps([news.id for message in messages for news in message.news])
            old = "SELECT DISTINCT notification FROM news WHERE id IN (SELECT value FROM json_each(?))"
            held = self._store.execute(f"SELECT max(held_until) FROM notifications WHERE id IN ({old})", (ids,))
            held_until = held.fetchone()[0] or 0
            merged = [row[0] for row in self._store.execute(old, (ids,)).fetchall()]
            self.post(route, "", messages, now, held_until=held_until)
            self._store.execute(
                "DELETE FROM notifications WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(merged),)
            )

    def next_delivery(self, route: str) -> Delivery | None:
        """The route's notification that is due first, of those that wait for no earlier one."""
        row = self._store.execute(
            """
            SELECT d.id, d.route, d.attempts, max(d.not_before, d.held_until) AS due_at, d.title, d.body, d.html
            FROM notifications d WHERE d.route = ? AND d.state = 'pending' AND NOT EXISTS (
                SELECT 1 FROM news mine
                JOIN news other ON other.route = mine.route AND other.rule = mine.rule AND other.peer = mine.peer
                JOIN notifications earlier ON earlier.id = other.notification
                WHERE mine.notification = d.id AND earlier.id < d.id AND earlier.state = 'pending'
            )
            ORDER BY due_at, d.id LIMIT 1
            """,
            (route,),
        ).fetchone()
        return Delivery(row[0], row[1], row[2], row[3], Message(*row[4:])) if row else None

    def mark_delivered(self, delivery: int) -> None:
        with self._store.transaction():
            self._store.execute("UPDATE notifications SET state = 'delivered' WHERE id = ?", (delivery,))
            self._store.execute(
                "UPDATE notifications SET overtaken = 1 WHERE state = 'pending' AND attempts > 0"
                " AND route = (SELECT route FROM notifications WHERE id = ?)",
                (delivery,),
            )

    def mark_failed(self, delivery: int, not_before: float) -> None:
        """Counts a failed attempt; the next one comes no earlier than `not_before`."""
        self._store.execute(
            "UPDATE notifications SET attempts = attempts + 1, not_before = ? WHERE id = ? AND state = 'pending'",
            (not_before, delivery),
        )

    def hold_route(self, route: str, until: float) -> None:
        """Delays all pending notifications of a route whose service asked for a pause, across restarts."""
        self._store.execute(
            "UPDATE notifications SET held_until = ? WHERE route = ? AND state = 'pending'", (until, route)
        )

    def release_route(self, route: str) -> None:
        """Makes pending notifications due at once, except where the service asked for a pause."""
        self._store.execute(
            "UPDATE notifications SET not_before = 0 WHERE route = ? AND state = 'pending' AND not_before > 0", (route,)
        )

    def expire(self, created_before: float, routes: Iterable[str]) -> list[tuple[str, int]]:
        """Expires notifications that are too old or whose route is no longer configured; returns how many per route."""
        kept = json.dumps(list(routes))
        with self._store.transaction():
            rows = self._store.execute(
                """
                UPDATE notifications SET state = 'expired'
                WHERE state = 'pending' AND (created_at < ? OR route NOT IN (SELECT value FROM json_each(?)))
                RETURNING route
                """,
                (created_before, kept),
            ).fetchall()
            query = "DELETE FROM news WHERE notification IS NULL AND route NOT IN (SELECT value FROM json_each(?))"
            self._store.execute(query, (kept,))
        expired: dict[str, int] = {}
        for (route,) in rows:
            expired[route] = expired.get(route, 0) + 1
        return sorted(expired.items())

    def count_deliveries(self) -> dict[str, dict[str, int]]:
        """Counts notifications, and news in none yet, by route and state; `held` waits for the quiet hours' end."""
        counts: dict[str, dict[str, int]] = {}
        rows = self._store.execute(
            """
            SELECT route, state, count(*) FROM notifications GROUP BY route, state
            UNION ALL SELECT route, iif(held, 'held', 'pending'), count(*) FROM news
            WHERE notification IS NULL GROUP BY route, held
            """
        )
        for route, state, count in rows:
            of_route = counts.setdefault(route, {})
            of_route[state] = of_route.get(state, 0) + count
        return counts

    def count_events(self, after: float, until: float) -> dict[str, int]:
        """Counts events by kind, of those that are kept."""
        query = "SELECT kind, count(*) FROM events WHERE at > ? AND at <= ? GROUP BY kind"
        return dict(self._store.execute(query, (after, until)).fetchall())

    def first_unsent(self) -> dict[str, dict[Key, Event]]:
        """By route, the earliest news of each alert that no service has accepted yet."""
        query = (
            "SELECT n.route, n.event FROM news n LEFT JOIN notifications d ON d.id = n.notification"
            " WHERE n.notification IS NULL OR d.state = 'pending' ORDER BY n.id DESC"
        )
        found: dict[str, dict[Key, Event]] = {}
        for route, text in self._store.execute(query):
            event = _news(0, text, 0.0, 0).event
            found.setdefault(route, {})[event.key] = event
        return found

    def drop_unsent(self, before: DeliveryState, after: DeliveryState) -> None:
        """Drops the news that no service has accepted, and writes what the routes know without it."""
        with self._store.transaction():
            unsent = "SELECT notification FROM news WHERE notification IS NOT NULL"
            self._store.execute(f"DELETE FROM notifications WHERE state = 'pending' AND id IN ({unsent})")
            self._store.execute("DELETE FROM news WHERE notification IS NULL")
            self._replace_notified(before.notified, after.notified)

    def transaction(self) -> AbstractContextManager[None]:
        """The store's: all steps within are committed together."""
        return self._store.transaction()

    def alerts_of(self, notification: int) -> list[Key]:
        """The firing alerts in a notification."""
        query = "SELECT DISTINCT rule, peer FROM news WHERE notification = ? AND event ->> 'kind' != 'resolved'"
        return [Key(*row) for row in self._store.execute(query, (notification,))]

    def mark(self, name: str) -> float | None:
        """When a periodic action was last done."""
        row = self._store.execute("SELECT at FROM marks WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_mark(self, name: str, at: float) -> None:
        self._store.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, at))

    def _replace_notified(self, before: Notified, after: Notified) -> None:
        for route in before.keys() | after.keys():
            old, new = before.get(route, frozenset()), after.get(route, frozenset())
            for key in old - new:
                self._store.execute("DELETE FROM told WHERE route = ? AND rule = ? AND peer = ?", (route, *key))
            for key in new - old:
                self._store.execute("INSERT OR IGNORE INTO told VALUES (?, ?, ?)", (route, *key))

    def _replace_evidence(self, before: Mapping[Key, str], after: Mapping[Key, str]) -> None:
        for key in before.keys() - after.keys():
            self._store.execute("DELETE FROM evidence WHERE rule = ? AND peer = ?", key)
        for key, text in after.items():
            if before.get(key) != text:
                self._store.execute("INSERT OR REPLACE INTO evidence VALUES (?, ?, ?)", (*key, text))

    def _add_news(self, route: str, event: Event, now: float, is_held: bool) -> None:
        if event.kind == "reminder" and self._is_waiting(route, event.key):
            return  # The route has not been notified yet: no reminder.
        # News that follows held news of the alert is held too, so that the order stays.
        held = is_held or self._is_waiting(route, event.key, "n.held AND n.notification IS NULL")
        self._store.execute(
            "INSERT INTO news (route, rule, peer, event, queued_at, held) VALUES (?, ?, ?, ?, ?, ?)",
            (route, *event.key, json.dumps(asdict(event)), now, held),
        )

    def _is_waiting(self, route: str, key: Key, how: str = "(n.notification IS NULL OR d.state = 'pending')") -> bool:
        query = (
            "SELECT 1 FROM news n LEFT JOIN notifications d ON d.id = n.notification"
            f" WHERE {how} AND n.route = ? AND n.rule = ? AND n.peer = ?"
        )
        return self._store.execute(query, (route, *key)).fetchone() is not None

    def _prune(self, route: str) -> None:
        """Deletes a route's old notifications with their news."""
        self._store.execute(
            """
            DELETE FROM notifications WHERE route = ? AND state != 'pending'
            AND id <= (SELECT max(id) FROM notifications) - ?
            """,
            (route, KEPT_NOTIFICATIONS),
        )


def _news(number: int, event: str, queued_at: float, held: int) -> News:
    fields = json.loads(event)
    return News(number, Event(**{**fields, "key": Key(*fields["key"])}), queued_at, bool(held))
